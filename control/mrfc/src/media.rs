//! Session descriptions between SIP and H.248: the offer in, Local and Remote out, the answer.

use crate::commands::Connection;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use h248::ast::StreamMode;
use sdp::{
    Choice, Description, Direction, Fingerprint, Host, MessageBuilder, MessageError, MessageMedia,
    Setup, Transport,
};

/// What the focus itself puts into a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) accept_types: Vec<String>,
    pub(crate) accept_wrapped_types: Vec<String>,
    pub(crate) max_size: u64,
    /// What a chat room allows (RFC 7701 8); none: it is no chat room.
    pub(crate) chatroom: Option<Vec<String>>,
}

/// A description that names an MSRP session the MRFP can serve.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    description: Description,
    media: MessageMedia,
    remote: String,
}

/// Why a description cannot be served: for the Warning of a 488 (RFC 3261 20.43).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// 302 transport, 304 media type, 305 media format, 399 anything else.
    pub(crate) warn_code: u16,
    pub(crate) text: String,
}

impl Unusable {
    pub(crate) fn new(warn_code: u16, text: impl ToString) -> Self {
        Self {
            warn_code,
            // Between quotes on the wire.
            text: text.to_string().replace(['"', '\\'], "'"),
        }
    }

    /// The value of a Warning header; `agent` names who warns.
    pub(crate) fn warning(&self, agent: &str) -> String {
        format!("{} {agent} \"{}\"", self.warn_code, self.text)
    }
}

/// RFC 6714 4.2 and 4.3.
const ELSEWHERE: &str = "c= and m= differ from a=path, and a=msrp-cema is missing";

impl Offer {
    /// Reads an offer.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Unusable> {
        let (description, media) = Self::read(body)?;
        if !media.has_cema && media.is_elsewhere() {
            return Err(Unusable::new(399, ELSEWHERE));
        }
        Self::new(description, media)
    }

    /// Reads the answer to an offer of ours with this `a=setup`. One that does not say who connects
    /// knows nothing of that attribute, and then the offerer connects (RFC 4975 5.4).
    pub(crate) fn parse_answer(body: &[u8], offered: Setup) -> Result<Self, Unusable> {
        let (description, mut media) = Self::read(body)?;
        if media.setup != Some(Setup::Active) {
            media.setup = Some(Setup::Passive);
        } else if offered == Setup::Active {
            return Err(Unusable::new(399, "a=setup:active answered by active"));
        }
        let connects = media.setup == Some(Setup::Passive);
        if connects && !media.has_cema && media.is_elsewhere() {
            // RFC 6714 4.2, third case: only a new offer could reach a peer behind a relay and a
            // middlebox; the call is given up instead. Without a relay the c= and m= lines are
            // where to connect, as if the answer had `a=msrp-cema`.
            if media
                .path
                .as_ref()
                .is_some_and(|path| path.uris().len() > 1)
            {
                return Err(Unusable::new(399, ELSEWHERE));
            }
            media.has_cema = true;
        }
        Self::new(description, media)
    }

    fn read(body: &[u8]) -> Result<(Description, MessageMedia), Unusable> {
        let description = Description::parse(body).map_err(|e| Unusable::new(399, e))?;
        let media = description.message().map_err(|e| match e {
            MessageError::NoMessageMedia => Unusable::new(304, e),
            MessageError::Transport(_) => Unusable::new(302, e),
            MessageError::Address(_) | MessageError::Path(_) => Unusable::new(399, e),
        })?;
        Ok((description, media))
    }

    fn new(description: Description, media: MessageMedia) -> Result<Self, Unusable> {
        let first = media.path.as_ref().and_then(|path| path.uris().first());
        if first.is_some_and(|uri| uri.is_secure != (media.transport == Transport::Tls)) {
            // RFC 4975 8.2: msrps goes with TCP/TLS/MSRP, msrp with TCP/MSRP.
            let text = format!("a=path does not go with {}", media.transport.as_str());
            return Err(Unusable::new(399, text));
        }
        if media.path.is_none() {
            return Err(Unusable::new(399, "a=path is missing"));
        }
        if role(media.setup) == Setup::Active {
            media
                .remote_transport_address()
                .map_err(|e| Unusable::new(399, e))?;
        }
        let remote = remote(&media);
        Ok(Self {
            description,
            media,
            remote,
        })
    }

    /// The H.248 Remote descriptor: the peer's own lines, those the MRFP may use and no others.
    pub(crate) fn remote(&self) -> &str {
        &self.remote
    }

    /// Our role in opening the TCP connection.
    pub(crate) fn our_setup(&self) -> Setup {
        role(self.media.setup)
    }

    /// What becomes of our connection with the peer, which said `before` before.
    pub(crate) fn connection(&self, before: Option<&Self>) -> Connection {
        let was_ours = before.filter(|before| before.our_setup() == Setup::Active);
        match self.our_setup() {
            Setup::Active if was_ours.is_some_and(|b| b.is_where(self)) => Connection::Leave,
            Setup::Active => Connection::Open,
            Setup::Passive | Setup::ActPass | Setup::HoldConn => {
                was_ours.map_or(Connection::Leave, |_| Connection::Release)
            }
        }
    }

    /// Whether both name the same session at the same address.
    fn is_where(&self, other: &Self) -> bool {
        let path = |offer: &Self| offer.media.path.clone();
        let address = |offer: &Self| offer.media.remote_transport_address().ok();
        path(self) == path(other) && address(self) == address(other)
    }

    /// Who leaves it to us who connects, where nothing has to (RFC 4145 4.1: a connection in use
    /// stays), is answered with the part that we had.
    pub(crate) fn after(mut self, before: Option<&Self>) -> Self {
        let is_open = matches!(self.media.setup, Some(Setup::ActPass));
        if let Some(before) = before.filter(|before| is_open && before.is_where(&self)) {
            self.media.setup = before.media.setup;
        }
        self
    }

    /// Whether our side has `a=msrp-cema` too: not towards one that connects through a relay
    /// (RFC 6714 4.3, second case).
    pub(crate) fn has_cema(&self) -> bool {
        let is_relayed = self.media.path.as_ref().is_some_and(|p| p.uris().len() > 1);
        let connects = matches!(self.media.setup, None | Some(Setup::Active));
        self.media.has_cema && !(is_relayed && connects)
    }

    pub(crate) fn is_ip6(&self) -> bool {
        self.media.is_ip6
    }

    /// Whether the peer knows chat rooms (RFC 7701 8).
    pub(crate) fn knows_rooms(&self) -> bool {
        self.media.chatroom.is_some()
    }

    /// Whether the peer takes this media type by itself; `*` takes all.
    pub(crate) fn takes(&self, media_type: &str) -> bool {
        is_listed(&self.media.accept_types, media_type)
    }

    /// Whether the peer takes this media type inside Message/CPIM: who says nothing of what is
    /// wrapped, and what may come bare may come wrapped (RFC 4975 8.6).
    pub(crate) fn takes_wrapped(&self, media_type: &str) -> bool {
        let wrapped = &self.media.accept_wrapped_types;
        self.takes("message/cpim")
            && (wrapped.is_empty() || is_listed(wrapped, media_type) || self.takes(media_type))
    }

    /// What the termination does: the peer's `sendonly` is our ReceiveOnly.
    pub(crate) fn mode(&self) -> StreamMode {
        match self.media.direction {
            Direction::SendRecv => StreamMode::SendReceive,
            Direction::SendOnly => StreamMode::ReceiveOnly,
            Direction::RecvOnly => StreamMode::SendOnly,
            Direction::Inactive => StreamMode::Inactive,
        }
    }

    /// Whether it asks for nothing else than `other` does.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let lines = |offer: &Self| offer.description.media().count();
        self.remote == other.remote
            && self.mode() == other.mode()
            && self.media.index == other.media.index
            && lines(self) == lines(other)
    }
}

/// RFC 6135 4.2, RFC 4975 5.4: without `a=setup` the offerer connects. Both may connect with
/// `actpass`; the focus listens, since its MRFP has an address that can be reached.
fn role(offered: Option<Setup>) -> Setup {
    match offered {
        Some(Setup::Passive) => Setup::Active,
        // MSRP ignores `holdconn` and never sends it (RFC 6135 4.2.1).
        Some(Setup::Active | Setup::ActPass | Setup::HoldConn) | None => Setup::Passive,
    }
}

/// `*` stands for all types, `text/*` for all of text.
fn is_listed(types: &[String], media_type: &str) -> bool {
    let is_it = |listed: &str| match listed.strip_suffix('*') {
        Some(family) => media_type.starts_with(&family.to_ascii_lowercase()),
        None => listed.eq_ignore_ascii_case(media_type),
    };
    types.iter().any(|listed| is_it(listed))
}

fn remote(media: &MessageMedia) -> String {
    // The MRFP resolves no names; a peer that has nothing else connects to us.
    let first = media.path.as_ref().and_then(|p| p.uris().first());
    let ip = match (&media.host, first.map(|uri| &uri.host)) {
        (Some(Host::Ip(ip)), _) | (_, Some(Host::Ip(ip))) => *ip,
        (Some(_) | None, _) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let family = if ip.is_ipv6() { "IP6" } else { "IP4" };
    let port = media.port.given().unwrap_or(9);
    let proto = media.transport.as_str();
    let mut text = format!("v=0\r\nc=IN {family} {ip}\r\nm=message {port} {proto} *\r\n");
    let mut line = |name: &str, value: &str| text.push_str(&format!("a={name}:{value}\r\n"));
    if !media.accept_types.is_empty() {
        line("accept-types", &media.accept_types.join(" "));
    }
    if !media.accept_wrapped_types.is_empty() {
        line(
            "accept-wrapped-types",
            &media.accept_wrapped_types.join(" "),
        );
    }
    if let Some(path) = &media.path {
        line("path", path.as_str());
    }
    if let Some(tokens) = &media.chatroom {
        line("chatroom", &tokens.join(" "));
    }
    if let Some(size) = media.max_size {
        line("max-size", &size.to_string());
    }
    if let Some(setup) = media.setup {
        line("setup", setup.as_str());
    }
    for Fingerprint { hash, value } in &media.fingerprints {
        line("fingerprint", &format!("{hash} {value}"));
    }
    if media.has_cema {
        text.push_str("a=msrp-cema\r\n");
    }
    text
}

/// The H.248 Local descriptor: the MRFP chooses address, port and session.
pub(crate) fn local(side: &Side<'_>, capabilities: &Capabilities) -> String {
    let (offer, setup) = (side.offer, side.setup());
    let family = if offer.map_or(side.ours.is_ip6, Offer::is_ip6) {
        "IP6"
    } else {
        "IP4"
    };
    let mut text = format!(
        "v=0\r\nc=IN {family} $\r\nm=message $ {} *\r\n\
         a=accept-types:{}\r\na=path:{}\r\na=max-size:{}\r\na=setup:{}\r\n",
        side.transport().as_str(),
        capabilities.accept_types.join(" "),
        side.path_to_choose(),
        capabilities.max_size,
        setup.as_str(),
    );
    if offer.is_none_or(Offer::has_cema) {
        text.push_str("a=msrp-cema\r\n");
    }
    if !capabilities.accept_wrapped_types.is_empty() {
        let types = capabilities.accept_wrapped_types.join(" ");
        text.push_str(&format!("a=accept-wrapped-types:{types}\r\n"));
    }
    if let Some(tokens) = &capabilities.chatroom {
        text.push_str(&format!("a=chatroom:{}\r\n", tokens.join(" ")));
    }
    text
}

/// What decides about our side of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    /// What the peer said; none while the offer is ours.
    pub(crate) offer: Option<&'a Offer>,
    /// What we offer.
    pub(crate) ours: Ours,
}

/// What an offer of ours says where the peer has said nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    /// Who connects. Whoever asks for our offer gets `actpass`: it may be behind a NAT or know nothing
    /// of `a=setup` (RFC 6135 4.2.2).
    pub(crate) setup: Setup,
    pub(crate) is_ip6: bool,
    pub(crate) transport: Transport,
}

impl Default for Ours {
    fn default() -> Self {
        Self {
            setup: Setup::ActPass,
            is_ip6: false,
            transport: Transport::Tcp,
        }
    }
}

impl Side<'_> {
    fn setup(&self) -> Setup {
        self.offer.map_or(self.ours.setup, Offer::our_setup)
    }

    fn transport(&self) -> Transport {
        self.offer
            .map_or(self.ours.transport, |offer| offer.media.transport)
    }

    /// The path that is left to the MRFP; WebSocket is asked for by its transport alone
    /// (RFC 7977 5.2.2).
    fn path_to_choose(&self) -> &'static str {
        let path = self.offer.and_then(|offer| offer.media.path.as_ref());
        let first = path.and_then(|path| path.uris().first());
        let is_websocket = first.is_some_and(|uri| uri.transport.eq_ignore_ascii_case("ws"));
        match (self.transport(), is_websocket) {
            (Transport::Tcp, false) => "msrp://$:$/$;tcp",
            (Transport::Tcp, true) => "msrp://$:$/$;ws",
            (Transport::Tls, false) => "msrps://$:$/$;tcp",
            (Transport::Tls, true) => "msrps://$:$/$;ws",
        }
    }
}

/// Where the MRFP listens, from the Local descriptor it returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reserved {
    address: SocketAddr,
    path: String,
    transport: Transport,
    /// Of the MRFP's certificate (RFC 8122), if it tells.
    fingerprint: Option<Fingerprint>,
}

impl Reserved {
    /// `None` if the MRFP left something open or unreadable.
    pub(crate) fn parse(local: &[u8]) -> Option<Self> {
        let media = Description::parse(local).ok()?.message().ok()?;
        let path = media.path.as_ref().filter(|p| !p.is_under_specified())?;
        let address = match (media.ip(), media.port) {
            (Some(ip), Choice::Given(port)) => SocketAddr::new(ip, port),
            _ => media.remote_transport_address().ok()?,
        };
        Some(Self {
            address,
            path: path.as_str().to_owned(),
            transport: media.transport,
            fingerprint: media.fingerprints.first().cloned(),
        })
    }

    /// The description for SIP: an answer to `offer`, or an offer of our own.
    pub(crate) fn describe(
        &self,
        side: &Side<'_>,
        capabilities: &Capabilities,
        origin: (u64, u64),
    ) -> String {
        let offer = side.offer;
        let mut builder = MessageBuilder::new(self.address, self.path.clone());
        (builder.origin_id, builder.origin_version) = origin;
        builder.transport = self.transport;
        builder.fingerprint.clone_from(&self.fingerprint);
        builder.accept_types = capabilities.accept_types.clone();
        builder
            .accept_wrapped_types
            .clone_from(&capabilities.accept_wrapped_types);
        builder.chatroom.clone_from(&capabilities.chatroom);
        builder.max_size = Some(capabilities.max_size);
        builder.has_cema = offer.is_none_or(Offer::has_cema);
        builder.setup = Some(side.setup());
        match offer {
            Some(offer) => {
                builder.direction = offer.media.direction.reversed();
                builder.write_answer(&offer.description, offer.media.index)
            }
            None => builder.write(),
        }
    }
}

#[cfg(test)]
#[path = "media/tests.rs"]
mod tests;
