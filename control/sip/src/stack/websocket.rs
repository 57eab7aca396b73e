//! SIP over WebSocket (RFC 7118): one message of SIP a message of WebSocket.

use super::connection::{Outgoing, PING, Patience, Peer, Reading, body_max, both};
use crate::limits::{HEAD_BYTES_MAX, OWN_BODY_BYTES_MAX, WRITE_TIMEOUT};
use crate::parse::{Frame, Parsed, parse_datagram};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config, client_async_with_config};
use tracing::{debug, info};

/// The subprotocol (RFC 7118 4.1).
const SIP: &str = "sip";

fn config(is_ours: bool) -> WebSocketConfig {
    let bytes_max = HEAD_BYTES_MAX + body_max(is_ours);
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size((HEAD_BYTES_MAX + OWN_BODY_BYTES_MAX) * 2)
        .max_message_size(Some(bytes_max))
        .max_frame_size(Some(bytes_max))
}

/// The opening handshake, as the client if the connection is ours.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: &Peer,
    is_ours: bool,
    origins: &[String],
) -> Result<WebSocketStream<S>, Box<Error>> {
    if !is_ours {
        #[expect(
            clippy::result_large_err,
            reason = "the library's callback has this type"
        )]
        let judge = |request: &Request, response| {
            let chosen = choose(request, response, origins);
            if let Err(refusal) = &chosen {
                let why = refusal.body().as_deref().unwrap_or_default().trim_end();
                info!(remote = %peer.addr, status = refusal.status().as_u16(), why, "WebSocket refused");
            }
            chosen
        };
        let accepted = accept_hdr_async_with_config(stream, judge, Some(config(false))).await;
        return accepted.map_err(Box::new);
    }
    let scheme = peer.transport;
    let uri = match &peer.name {
        Some(name) => format!("{scheme}://{name}:{}/", peer.addr.port()),
        None => format!("{scheme}://{}/", peer.addr),
    };
    let mut request = uri.into_client_request().map_err(Box::new)?;
    let protocol = HeaderValue::from_static(SIP);
    request
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    let connected = client_async_with_config(request, stream, Some(config(true))).await;
    Ok(connected.map_err(Box::new)?.0)
}

/// Takes who speaks SIP and refuses everybody else.
#[expect(
    clippy::result_large_err,
    reason = "the library's callback has this type"
)]
fn choose(
    request: &Request,
    mut response: Response,
    origins: &[String],
) -> Result<Response, ErrorResponse> {
    let refusal = |status, text: &str| {
        let mut refusal = ErrorResponse::new(Some(format!("{text}\n")));
        *refusal.status_mut() = status;
        refusal
    };
    if !is_admitted(request.headers(), origins) {
        let text = "pages of this origin may not connect";
        return Err(refusal(StatusCode::FORBIDDEN, text));
    }
    if !offers_sip(request.headers()) {
        let text = "expected Sec-WebSocket-Protocol: sip";
        return Err(refusal(StatusCode::BAD_REQUEST, text));
    }
    let protocol = HeaderValue::from_static(SIP);
    response
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    Ok(response)
}

fn offers_sip(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut names = fields
        .filter_map(|f| f.to_str().ok())
        .flat_map(|f| f.split(','));
    names.any(|name| name.trim().eq_ignore_ascii_case(SIP))
}

/// Whether a page of this origin may connect. A browser says where a page came from, once; who says
/// nothing is no page, and could say what it likes (RFC 6455 10.2).
fn is_admitted(headers: &HeaderMap, origins: &[String]) -> bool {
    let mut said = headers.get_all(ORIGIN).iter();
    let is_listed = |said: &HeaderValue| {
        let said = said.as_bytes().trim_ascii();
        origins
            .iter()
            .any(|o| o.as_bytes().eq_ignore_ascii_case(said))
    };
    origins.is_empty() || said.all(is_listed)
}

/// Reads and writes until one of them ends.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    queue: mpsc::Receiver<Outgoing>,
    reading: Reading,
) {
    let (writer, reader) = socket.split();
    let (channel, inbox) = (reading.flow.channel, reading.inbox.clone());
    both(read(reader, reading), write(writer, queue), channel, &inbox).await;
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    mut reader: SplitStream<WebSocketStream<S>>,
    mut reading: Reading,
) {
    let mut patience = Patience::new(reading.pings.take(), Instant::now());
    loop {
        let message = match timeout_at(patience.until(), reader.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => {
                debug!(remote = %reading.flow.remote, %error, "WebSocket lost");
                return;
            }
            Ok(None) => return,
            Err(_) if patience.goes_on(Instant::now()) => continue,
            Err(_) => return,
        };
        patience.hear(Instant::now(), true, false);
        let bytes = match message {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            // The library answers them.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            Message::Close(_) => return,
        };
        let Some(frame) = frame(&bytes) else { continue };
        if !reading.tell(frame).await {
            return;
        }
    }
}

fn frame(bytes: &[u8]) -> Option<Frame> {
    if bytes == PING {
        return Some(Frame::Ping);
    }
    let parsed = parse_datagram(bytes);
    (parsed != Parsed::Garbage).then(|| Frame::Message(parsed, bytes.to_vec()))
}

async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut writer: SplitSink<WebSocketStream<S>, Message>,
    mut queue: mpsc::Receiver<Outgoing>,
) {
    while let Some(outgoing) = queue.recv().await {
        // Text where it is text (RFC 7118 5: a client may know no binary messages).
        let bytes = Bytes::from(outgoing.bytes);
        let message = match Utf8Bytes::try_from(bytes.clone()) {
            Ok(text) => Message::Text(text),
            Err(_) => Message::Binary(bytes),
        };
        if !matches!(
            timeout(WRITE_TIMEOUT, writer.send(message)).await,
            Ok(Ok(()))
        ) {
            return;
        }
    }
    let _ = timeout(WRITE_TIMEOUT, writer.close()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_origins_are_kept_out() {
        let listed = ["https://chat.example.net".to_owned(), "null".to_owned()];
        let nobody: &[String] = &[];
        for (said, origins, expected) in [
            (&["https://evil.example"][..], nobody, true),
            (&["https://chat.example.net"], &listed, true),
            (&["HTTPS://Chat.Example.NET"], &listed, true),
            (&["null"], &listed, true),
            (&[], &listed, true),
            (&["http://chat.example.net"], &listed, false),
            (&["https://chat.example.net:8443"], &listed, false),
            (&["https://chat.example.net.evil.example"], &listed, false),
            (&[""], &listed, false),
            (
                &["https://chat.example.net", "https://evil.example"],
                &listed,
                false,
            ),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(ORIGIN, HeaderValue::from_static(value));
            }
            assert_eq!(is_admitted(&headers, origins), expected, "{said:?}");
        }
    }

    #[test]
    fn only_who_offers_sip_is_taken() {
        for (offered, expected) in [
            (&["sip"][..], true),
            (&["msrp, SIP"], true),
            (&["msrp", "sip"], true),
            (&["msrp"], false),
            (&["sip2"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in offered {
                let value = HeaderValue::from_static(value);
                headers.append(SEC_WEBSOCKET_PROTOCOL, value);
            }
            assert_eq!(offers_sip(&headers), expected, "{offered:?}");
        }
    }
}
