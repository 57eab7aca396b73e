//! Writes the canonical description of an MSRP session.

use core::net::SocketAddr;

use sdp_types::{Attribute, Connection, Media, Origin, Session, Time};

use crate::description::Description;
use crate::message::{Direction, Fingerprint, Setup, Transport};

/// The session description of one MSRP session, written with CRLF in RFC 4566's order.
///
/// Optional attributes that are empty or absent are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageBuilder {
    /// `c=` address and `m=` port.
    pub address: SocketAddr,
    /// `m=` transport.
    pub transport: Transport,
    /// `a=path`, blanks between URIs.
    pub path: String,
    /// `o=` session id; the same through a dialog.
    pub origin_id: u64,
    /// `o=` version; raised with every change (RFC 3264 section 8).
    pub origin_version: u64,
    /// `a=accept-types`.
    pub accept_types: Vec<String>,
    /// `a=accept-wrapped-types`.
    pub accept_wrapped_types: Vec<String>,
    /// `a=max-size`, octets.
    pub max_size: Option<u64>,
    /// `a=msrp-cema` (RFC 6714).
    pub has_cema: bool,
    /// `a=setup` (RFC 6135).
    pub setup: Option<Setup>,
    /// `a=chatroom` with its tokens (RFC 7701).
    pub chatroom: Option<Vec<String>>,
    /// `a=fingerprint` (RFC 8122).
    pub fingerprint: Option<Fingerprint>,
    /// Written unless it is the default, `sendrecv`.
    pub direction: Direction,
}

impl MessageBuilder {
    /// A TCP session at `address` with `path`, nothing optional.
    #[must_use]
    pub fn new(address: SocketAddr, path: impl Into<String>) -> Self {
        Self {
            address,
            transport: Transport::Tcp,
            path: path.into(),
            origin_id: 0,
            origin_version: 0,
            accept_types: Vec::new(),
            accept_wrapped_types: Vec::new(),
            max_size: None,
            has_cema: false,
            setup: None,
            chatroom: None,
            fingerprint: None,
            direction: Direction::SendRecv,
        }
    }

    /// The description as an offer, or as an answer to an offer with one `m=` line.
    #[must_use]
    pub fn write(&self) -> String {
        self.write_session(vec![self.media()])
    }

    /// The description as an answer: our line at `index`, every other `m=` line of the offer
    /// refused with port 0 (RFC 3264 section 6).
    #[must_use]
    pub fn write_answer(&self, offer: &Description, index: usize) -> String {
        let media = offer
            .session()
            .medias
            .iter()
            .enumerate()
            .map(|(i, offered)| {
                if i == index {
                    self.media()
                } else {
                    refused(offered)
                }
            })
            .collect();
        self.write_session(media)
    }

    fn write_session(&self, medias: Vec<Media>) -> String {
        let id = self.origin_id.to_string();
        let origin = Origin::with_ip_addr(id, self.origin_version, self.address.ip());
        let mut session = Session::new(origin, "-");
        session.connection = Some(Connection::from_ip_addr(self.address.ip()));
        session.times = vec![Time {
            start_time: 0,
            stop_time: 0,
            repeats: Vec::new(),
        }];
        session.medias = medias;
        let mut out = Vec::new();
        session
            .write(&mut out)
            .expect("writing to memory cannot fail");
        String::from_utf8(out).expect("made of strings")
    }

    fn media(&self) -> Media {
        let mut attributes = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            attributes.push(Attribute {
                attribute: name.to_owned(),
                value,
            });
        };
        if !self.accept_types.is_empty() {
            add("accept-types", Some(self.accept_types.join(" ")));
        }
        if !self.accept_wrapped_types.is_empty() {
            add(
                "accept-wrapped-types",
                Some(self.accept_wrapped_types.join(" ")),
            );
        }
        add("path", Some(self.path.clone()));
        if let Some(size) = self.max_size {
            add("max-size", Some(size.to_string()));
        }
        if self.has_cema {
            add("msrp-cema", None);
        }
        if let Some(setup) = self.setup {
            add("setup", Some(setup.as_str().to_owned()));
        }
        if let Some(tokens) = &self.chatroom {
            add("chatroom", (!tokens.is_empty()).then(|| tokens.join(" ")));
        }
        if let Some(Fingerprint { hash, value }) = &self.fingerprint {
            add("fingerprint", Some(format!("{hash} {value}")));
        }
        if self.direction != Direction::SendRecv {
            add(self.direction.as_str(), None);
        }
        Media {
            attributes,
            ..line("message", self.address.port(), self.transport.as_str(), "*")
        }
    }
}

fn refused(offered: &Media) -> Media {
    line(&offered.media, 0, &offered.proto, &offered.fmt)
}

fn line(media: &str, port: u16, proto: &str, fmt: &str) -> Media {
    Media {
        media: media.to_owned(),
        port,
        num_ports: None,
        proto: proto.to_owned(),
        fmt: fmt.to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}
