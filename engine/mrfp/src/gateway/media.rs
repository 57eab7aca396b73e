//! Local, Remote and LocalControl of a stream (H.248.1 sections 7.1.6 to 7.1.8, TS 29.333 5.15).

use core::net::SocketAddr;

use h248::ast::{LocalControl, OctetString, PropertyParm, StreamMode};
use sdp::{Choice, Description, Host, MessageBuilder, MessageError, MessageMedia, MsrpUri, Path};
use switch::{Fingerprint, ShardIndex, Text};

use super::Config;
use super::fault::Fault;
use super::mf::Filters;
use super::mirror::{Local, Mode, Obeyed, Remote, Stream};
use super::package::{self, Place, Settled};
use crate::{Listener, Transport};

/// What filling in a Local needs to know.
pub(super) struct Site<'a> {
    /// Where participants reach us, at most one address used per family.
    pub addresses: &'a [Listener],
    /// Of our certificate.
    pub fingerprint: Option<&'a Fingerprint>,
    pub honour_sdp: bool,
    /// The termination's shard and number.
    pub shard: ShardIndex,
    pub termination: u32,
}

/// Replaces a stream's LocalControl: what is not in it falls back to its default. Returns the properties
/// of which the value was left to us.
pub(super) fn set_control(
    stream: &mut Stream,
    control: &LocalControl,
    config: &Config,
) -> Result<Vec<PropertyParm>, Fault> {
    let mode = control.mode.unwrap_or(StreamMode::Inactive);
    if mode == StreamMode::Loopback {
        return Err(Fault::ModeUnsupported("Loopback"));
    }
    // TS 29.333 table 5.7.1.1.1: neither is used for messages, and what is optional and not there is
    // refused with 445 (5.2).
    if control.reserved_value == Some(true) {
        return Err(Fault::PropertyUnsupported("ReservedValue=ON".to_owned()));
    }
    if control.reserved_group == Some(true) {
        return Err(Fault::PropertyUnsupported("ReservedGroup=ON".to_owned()));
    }
    let Settled { all, chosen } = package::settle(
        &control.properties,
        Place::Stream,
        &stream.properties,
        config,
    )?;
    stream.mode = Mode(mode);
    let properties = (stream.properties.as_slice(), all.as_slice());
    let filters = Filters::compile(&stream.extras().filters, properties, config.has_storage)?;
    stream.change_extras(|extras| extras.filters = filters);
    stream.properties = all;
    Ok(chosen)
}

/// Replaces a stream's Local. Returns whether it must be in the reply: something was left to us.
pub(super) fn set_local(
    stream: &mut Stream,
    octets: &OctetString,
    site: &Site<'_>,
    random: u128,
) -> Result<bool, Fault> {
    let alternatives = parse(octets)?;
    if alternatives.is_empty() {
        stream.local = None;
        return Ok(false);
    }
    let (media, _) = first_usable(&alternatives, |media| {
        choose_address(media, site).map(|_| ())
    })?;
    let Listener {
        transport,
        addr: address,
    } = choose_address(&media, site)?;
    let is_alike = |l: &&Local| l.is_ip6 == address.is_ipv6() && l.transport == transport;
    let kept = stream.local.as_ref().filter(is_alike);
    let path = match kept {
        Some(local) => core::str::from_utf8(&local.path)
            .expect("a path of ours")
            .to_owned(),
        None => new_path(transport, address, site.shard, random),
    };
    let is_chosen = check_local_path(&media, &path)?
        || media.host == Some(Host::Choose)
        || media.host.is_none()
        || media.port == Choice::Choose
        || alternatives.len() > 1;
    let obeyed = obeyed(&media, site.honour_sdp)?.into();
    let text = write_local(&media, address, &path, site);
    let path = part_of(&text, path.as_bytes());
    stream.local = Some(Local {
        text,
        is_ip6: address.is_ipv6(),
        transport,
        path,
        obeyed,
    });
    Ok(is_chosen)
}

/// Replaces a stream's Remote. Returns whether it must be in the reply: one of several was chosen.
pub(super) fn set_remote(
    stream: &mut Stream,
    octets: &OctetString,
    site: &Site<'_>,
) -> Result<bool, Fault> {
    let honour_sdp = site.honour_sdp;
    let alternatives = parse(octets)?;
    if alternatives.is_empty() {
        stream.remote = None;
        return Ok(false);
    }
    let of_local = stream.local.as_ref().map(|l| l.transport.is_secure());
    let (media, source) = first_usable(&alternatives, |media| {
        let is_tls = media.transport == sdp::Transport::Tls;
        let mut ours = site.addresses.iter().map(|l| l.transport.is_secure());
        if of_local.unwrap_or(is_tls) == is_tls && ours.any(|one| one == is_tls) {
            return Ok(());
        }
        let proto = media.transport.as_str();
        Err(Fault::ValueUnsupported(format!("{proto} in Remote")))
    })?;
    let path = media
        .path
        .as_ref()
        .ok_or(Fault::InformationMissing("a=path in Remote"))?;
    let is_under_specified = path.is_under_specified()
        || media.host == Some(Host::Choose)
        || media.port == Choice::Choose;
    if is_under_specified {
        return Err(Fault::ValueUnsupported("$ in Remote".to_owned()));
    }
    // The controller has already decided between c= and a=path (TS 23.333 section 5.21), unless it
    // just copies SDP, which is what `honour_sdp` is for.
    let of_media = media.ip().and_then(|ip| match media.port {
        Choice::Given(port) => Some(SocketAddr::new(ip, port)),
        Choice::Choose => None,
    });
    let of_sdp = media.remote_transport_address().ok();
    let to = if honour_sdp {
        of_sdp
    } else {
        of_media.or(of_sdp)
    };
    let is_chosen = alternatives.len() > 1;
    let text = Text::from(if is_chosen { source } else { &octets.0 });
    stream.remote = Some(Remote {
        path: part_of(&text, path.as_str().as_bytes()),
        text,
        to,
        obeyed: obeyed(&media, honour_sdp)?.into(),
    });
    Ok(is_chosen)
}

fn parse(octets: &OctetString) -> Result<Vec<Description>, Fault> {
    Description::parse_alternatives(&octets.0).map_err(|e| Fault::SdpSyntax(e.to_string()))
}

/// The first alternative that we can serve (ReservedValue off: one is chosen), else the first one's
/// fault.
fn first_usable(
    alternatives: &[Description],
    serves: impl Fn(&MessageMedia) -> Result<(), Fault>,
) -> Result<(MessageMedia, &[u8]), Fault> {
    let mut first_fault = None;
    for description in alternatives {
        let usable = usable(description).and_then(|media| serves(&media).map(|()| media));
        match usable {
            Ok(media) => return Ok((media, description.source())),
            Err(fault) => {
                first_fault.get_or_insert(fault);
            }
        }
    }
    Err(first_fault.unwrap_or(Fault::InformationMissing("m=message")))
}

fn usable(description: &Description) -> Result<MessageMedia, Fault> {
    // Each medium has a stream of its own, so a description MUST NOT have more than one (H.248.1 7.1.8).
    // A line with port 0 describes none: who copies SDP sends those that were refused.
    let media_lines = description.media().filter(|m| m.port != Choice::Given(0));
    let count = media_lines.count();
    if count > 1 {
        return Err(Fault::SdpSyntax(format!("{count} m= lines in one stream")));
    }
    let media = description.message().map_err(|error| match error {
        MessageError::NoMessageMedia => no_message(description),
        MessageError::Transport(transport) => Fault::ValueUnsupported(transport),
        MessageError::Address(address) => Fault::SdpSyntax(format!("c= address {address}")),
        MessageError::Path(path) => Fault::SdpSyntax(path.to_string()),
    })?;
    if let Some(Host::Name(name)) = &media.host {
        return Err(Fault::ValueUnsupported(format!("c= with a name: {name}")));
    }
    let schemes = media.path.iter().flat_map(|path| path.uris().first());
    let is_tls = media.transport == sdp::Transport::Tls;
    if schemes.into_iter().any(|uri| uri.is_secure != is_tls) {
        let proto = media.transport.as_str();
        let text = format!("{proto} does not go with the scheme of a=path");
        return Err(Fault::ValueUnsupported(text));
    }
    Ok(media)
}

/// What the controller wants participants to speak: RFC 7977 section 5.2.2 leaves WebSocket to the
/// path.
fn transport_of(media: &MessageMedia) -> Transport {
    let uri = media.path.as_ref().and_then(|path| path.uris().first());
    let is_websocket = uri.is_some_and(|uri| uri.transport.eq_ignore_ascii_case("ws"));
    match (media.transport, is_websocket) {
        (sdp::Transport::Tcp, false) => Transport::Tcp,
        (sdp::Transport::Tcp, true) => Transport::Ws,
        (sdp::Transport::Tls, false) => Transport::Tls,
        (sdp::Transport::Tls, true) => Transport::Wss,
    }
}

fn no_message(description: &Description) -> Fault {
    match description.media().next() {
        Some(line) if !line.kind.eq_ignore_ascii_case("message") => {
            Fault::MediaUnsupported(line.kind.to_owned())
        }
        _ => Fault::InformationMissing("m=message with a port"),
    }
}

/// The listener that the controller asks for by `c=` and `m=`.
fn choose_address(media: &MessageMedia, site: &Site<'_>) -> Result<Listener, Fault> {
    let transport = transport_of(media);
    let alike = site.addresses.iter().filter(|l| l.transport == transport);
    if alike.clone().next().is_none() {
        let proto = media.transport.as_str();
        let kind = if transport.is_websocket() {
            " over WebSocket"
        } else {
            ""
        };
        let text = format!("{proto}{kind}: nothing listens there");
        return Err(Fault::ValueUnsupported(text));
    }
    let fits = |a: &SocketAddr| match (&media.host, media.port) {
        (Some(Host::Ip(ip)), Choice::Given(port)) => a.ip() == *ip && a.port() == port,
        (Some(Host::Ip(ip)), Choice::Choose) => a.ip() == *ip,
        (Some(_), Choice::Given(port)) => a.is_ipv6() == media.is_ip6 && a.port() == port,
        (Some(_), Choice::Choose) => a.is_ipv6() == media.is_ip6,
        (None, Choice::Given(port)) => a.port() == port,
        (None, Choice::Choose) => true,
    };
    alike.copied().find(|l| fits(&l.addr)).ok_or_else(|| {
        let family = if media.is_ip6 { "IP6" } else { "IP4" };
        let host = media
            .host
            .as_ref()
            .map_or("$".to_owned(), ToString::to_string);
        Fault::ValueUnsupported(match media.port {
            Choice::Given(port) => format!("{family} {host} port {port} is not ours"),
            Choice::Choose => format!("{family} {host} is not ours"),
        })
    })
}

fn new_path(transport: Transport, address: SocketAddr, shard: ShardIndex, random: u128) -> String {
    let session_id = switch::session_id(shard, random);
    let text = core::str::from_utf8(&session_id).expect("letters and digits");
    let scheme = if transport.is_secure() {
        "msrps"
    } else {
        "msrp"
    };
    let parameter = if transport.is_websocket() {
        "ws"
    } else {
        "tcp"
    };
    format!("{scheme}://{address}/{text};{parameter}")
}

/// Some octets as a part of a text where they stand, or else by themselves.
fn part_of(text: &Text, octets: &[u8]) -> Text {
    text.find(octets).unwrap_or_else(|| octets.into())
}

/// Whether what is written out in a path with `$` is as in ours.
fn fits(asked: &Path, ours: &str) -> bool {
    let Ok(ours) = ours.parse::<MsrpUri>() else {
        return false;
    };
    match asked.uris() {
        [] => true,
        [uri] => {
            let has_host = uri.host == Host::Choose || uri.host == ours.host;
            let has_port = uri.port.is_none_or(|p| p == Choice::Choose)
                || uri.effective_port() == ours.effective_port();
            let id = &uri.session_id;
            let has_id = matches!(id, None | Some(Choice::Choose)) || *id == ours.session_id;
            has_host && has_port && has_id
        }
        _ => false,
    }
}

/// Whether the path is left to us; a path written out must be the one we gave before.
fn check_local_path(media: &MessageMedia, ours: &str) -> Result<bool, Fault> {
    match &media.path {
        None => Ok(true),
        Some(path) if path.as_str() == ours => Ok(false),
        Some(path) if path.is_under_specified() && fits(path, ours) => Ok(true),
        Some(path) => Err(Fault::ValueUnsupported(format!(
            "{} in Local",
            path.as_str()
        ))),
    }
}

fn obeyed(media: &MessageMedia, honour_sdp: bool) -> Result<Obeyed, Fault> {
    if !honour_sdp {
        return Ok(Obeyed::NOTHING);
    }
    let written = &media.fingerprints;
    let parse = |f: &sdp::Fingerprint| Fingerprint::parse(&f.hash, &f.value);
    let fingerprints: Vec<_> = written.iter().filter_map(parse).collect();
    // To ignore the only ones, say of MD5, would let anybody in (RFC 8122 section 5).
    if let (Some(first), true) = (written.first(), fingerprints.is_empty()) {
        let text = format!("a=fingerprint:{} {}", first.hash, first.value);
        return Err(Fault::ValueUnsupported(text));
    }
    Ok(Obeyed {
        fingerprints,
        setup: media.setup,
        max_size: media.max_size,
        accept_types: media.accept_types.clone(),
        accept_wrapped_types: media.accept_wrapped_types.clone(),
        chatroom: media.chatroom.clone(),
    })
}

/// The full description, with the attributes we obey.
fn write_local(media: &MessageMedia, address: SocketAddr, path: &str, site: &Site<'_>) -> Text {
    let mut builder = MessageBuilder::new(address, path);
    builder.origin_id = u64::from(site.termination);
    builder.origin_version = 1;
    builder.transport = media.transport;
    if site.honour_sdp {
        builder.accept_types.clone_from(&media.accept_types);
        builder
            .accept_wrapped_types
            .clone_from(&media.accept_wrapped_types);
        builder.max_size = media.max_size;
        builder.setup = media.setup;
        builder.has_cema = media.has_cema;
        builder.chatroom.clone_from(&media.chatroom);
        let is_tls = media.transport == sdp::Transport::Tls;
        builder.fingerprint = site.fingerprint.filter(|_| is_tls).map(written);
    }
    builder.write().as_str().into()
}

fn written(fingerprint: &Fingerprint) -> sdp::Fingerprint {
    sdp::Fingerprint {
        hash: fingerprint.hash.as_str().to_owned(),
        value: fingerprint.value(),
    }
}
