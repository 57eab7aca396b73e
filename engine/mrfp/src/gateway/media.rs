//! Local, Remote and LocalControl of a stream (H.248.1 sections 7.1.6 to 7.1.8, TS 29.333 5.15).

use core::net::SocketAddr;

use h248::ast::{LocalControl, OctetString, StreamMode};
use sdp::{
    Choice, Description, Host, MessageBuilder, MessageError, MessageMedia, MsrpUri, Path, Transport,
};
use switch::ShardIndex;

use super::fault::Fault;
use super::mf::Filters;
use super::mirror::{Local, Mode, Obeyed, Remote, Stream};
use super::package::{self, Place};

/// What filling in a Local needs to know.
pub(super) struct Site<'a> {
    /// Where participants reach us, at most one address used per family.
    pub addresses: &'a [SocketAddr],
    pub honour_sdp: bool,
    /// The termination's shard and number.
    pub shard: ShardIndex,
    pub termination: u32,
}

/// Replaces a stream's LocalControl: what is not in it falls back to its default.
pub(super) fn set_control(stream: &mut Stream, control: &LocalControl) -> Result<(), Fault> {
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
    package::check_properties(&control.properties, Place::Stream)?;
    stream.mode = Mode(mode);
    let old = &stream.properties;
    stream.filters = Filters::compile(&stream.filters, old, &control.properties)?;
    stream.properties.clone_from(&control.properties);
    Ok(())
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
    let (media, _) = first_usable(&alternatives)?;
    let address = choose_address(&media, site)?;
    let kept = stream
        .local
        .as_ref()
        .filter(|l| l.address.is_ipv4() == address.is_ipv4());
    let (session_id, path) = match kept {
        Some(local) => (local.session_id.clone(), local.path.clone()),
        None => new_path(address, site.shard, random),
    };
    let is_chosen = check_local_path(&media, &path)?
        || media.host == Some(Host::Choose)
        || media.host.is_none()
        || media.port == Choice::Choose
        || alternatives.len() > 1;
    let obeyed = obeyed(&media, site.honour_sdp);
    let text = write_local(&media, address, &path, site);
    stream.local = Some(Local {
        text,
        address,
        path,
        session_id,
        obeyed,
    });
    Ok(is_chosen)
}

/// Replaces a stream's Remote. Returns whether it must be in the reply: one of several was chosen.
pub(super) fn set_remote(
    stream: &mut Stream,
    octets: &OctetString,
    honour_sdp: bool,
) -> Result<bool, Fault> {
    let alternatives = parse(octets)?;
    if alternatives.is_empty() {
        stream.remote = None;
        return Ok(false);
    }
    let (media, source) = first_usable(&alternatives)?;
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
    stream.remote = Some(Remote {
        text: if is_chosen {
            source.to_vec()
        } else {
            octets.0.clone()
        },
        path: path.as_str().to_owned(),
        to,
        obeyed: obeyed(&media, honour_sdp),
    });
    Ok(is_chosen)
}

fn parse(octets: &OctetString) -> Result<Vec<Description>, Fault> {
    Description::parse_alternatives(&octets.0).map_err(|e| Fault::SdpSyntax(e.to_string()))
}

/// The first alternative that we can serve (ReservedValue off: one is chosen), else the first one's
/// fault.
fn first_usable(alternatives: &[Description]) -> Result<(MessageMedia, &[u8]), Fault> {
    let mut first_fault = None;
    for description in alternatives {
        match usable(description) {
            Ok(media) => return Ok((media, description.source())),
            Err(fault) => {
                first_fault.get_or_insert(fault);
            }
        }
    }
    Err(first_fault.unwrap_or(Fault::InformationMissing("m=message")))
}

fn usable(description: &Description) -> Result<MessageMedia, Fault> {
    let media = description.message().map_err(|error| match error {
        MessageError::NoMessageMedia => no_message(description),
        MessageError::Transport(transport) => Fault::ValueUnsupported(transport),
        MessageError::Address(address) => Fault::SdpSyntax(format!("c= address {address}")),
        MessageError::Path(path) => Fault::SdpSyntax(path.to_string()),
    })?;
    if let Some(Host::Name(name)) = &media.host {
        return Err(Fault::ValueUnsupported(format!("c= with a name: {name}")));
    }
    match media.transport {
        Transport::Tcp => Ok(media),
        Transport::Tls => Err(Fault::ValueUnsupported(Transport::Tls.as_str().to_owned())),
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
fn choose_address(media: &MessageMedia, site: &Site<'_>) -> Result<SocketAddr, Fault> {
    let fits = |a: &SocketAddr| match (&media.host, media.port) {
        (Some(Host::Ip(ip)), Choice::Given(port)) => a.ip() == *ip && a.port() == port,
        (Some(Host::Ip(ip)), Choice::Choose) => a.ip() == *ip,
        (Some(_), Choice::Given(port)) => a.is_ipv6() == media.is_ip6 && a.port() == port,
        (Some(_), Choice::Choose) => a.is_ipv6() == media.is_ip6,
        (None, Choice::Given(port)) => a.port() == port,
        (None, Choice::Choose) => true,
    };
    site.addresses.iter().copied().find(fits).ok_or_else(|| {
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

fn new_path(address: SocketAddr, shard: ShardIndex, random: u128) -> (Box<[u8]>, String) {
    let session_id = switch::session_id(shard, random);
    let text = core::str::from_utf8(&session_id).expect("letters and digits");
    let path = format!("msrp://{address}/{text};tcp");
    (session_id, path)
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

fn obeyed(media: &MessageMedia, honour_sdp: bool) -> Obeyed {
    if !honour_sdp {
        return Obeyed::default();
    }
    Obeyed {
        setup: media.setup,
        max_size: media.max_size,
        accept_types: media.accept_types.clone(),
        accept_wrapped_types: media.accept_wrapped_types.clone(),
        chatroom: media.chatroom.clone(),
    }
}

/// The full description, with the attributes we obey.
fn write_local(media: &MessageMedia, address: SocketAddr, path: &str, site: &Site<'_>) -> Vec<u8> {
    let mut builder = MessageBuilder::new(address, path);
    builder.origin_id = u64::from(site.termination);
    builder.origin_version = 1;
    if site.honour_sdp {
        builder.accept_types.clone_from(&media.accept_types);
        builder
            .accept_wrapped_types
            .clone_from(&media.accept_wrapped_types);
        builder.max_size = media.max_size;
        builder.setup = media.setup;
        builder.has_cema = media.has_cema;
        builder.chatroom.clone_from(&media.chatroom);
    }
    builder.write().into_bytes()
}
