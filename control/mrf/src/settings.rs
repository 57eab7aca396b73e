//! From options to the configurations of the parts: here the defaults are chosen.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::num::NonZeroU32;
use core::time::Duration;

use h248_endpoint::TransportAddr;

use crate::config::{ConferenceOptions, Options};
use crate::limits::LOG_LINES_PER_SECOND;
use crate::values::{ChargingText, Count, LogFormat, NoticeText};

/// Less would take a controller for lost that is only busy.
const H248_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// How long taking leave may last unless said otherwise.
const DRAIN: Duration = Duration::from_secs(10);

/// Log filter unless said otherwise.
const LOG: &str = "info";

/// What concerns the process and not its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// HTTP listener, if any.
    pub http: Option<SocketAddr>,
    /// Whoever uses the API must show it.
    pub http_token: Option<String>,
    /// How long taking leave may last.
    pub drain: Duration,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// Log filter where `RUST_LOG` is not set.
    pub log: String,
    /// Log lines of one kind a second in the long run; 0: all.
    pub log_rate: u32,
}

impl Common {
    /// The settings that `options` ask for.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            http: options.http.map_or(Some(loopback(8080)), |http| http.0),
            http_token: options.http_token.clone(),
            drain: options.drain.map_or(DRAIN, |drain| drain.0),
            log_format: options.log_format.unwrap_or_default(),
            log: options
                .log
                .clone()
                .map_or_else(|| LOG.to_owned(), |log| log.0),
            log_rate: options.log_rate.unwrap_or(LOG_LINES_PER_SECOND),
        }
    }
}

/// The media plane of `mrf mrfp`.
#[must_use]
pub fn mrfp(options: &Options) -> mrfp::Config {
    let mut config = media(options);
    config.mgcs = options.mgc.iter().map(|addr| addr.0).collect();
    if !options.h248.is_empty() {
        config.h248 = options.h248.iter().map(|addr| addr.0).collect();
    }
    config.mid = options.mid.clone().map(|mid| mid.0);
    config
}

/// The media plane of `mrf run`, which registers with the controller at `mgc`.
#[must_use]
pub fn mrfp_beside(options: &Options, mgc: TransportAddr) -> mrfp::Config {
    let mgc = reachable(mgc);
    let mut config = media(options);
    config.mgcs = vec![mgc];
    config.h248 = vec![TransportAddr::new(
        mgc.kind(),
        SocketAddr::new(mgc.addr().ip(), 0),
    )];
    config.honour_sdp = options.honour_sdp.is_none_or(|switch| switch.0);
    config
}

fn origins(options: &Options) -> Vec<String> {
    options.ws_origin.iter().map(|o| o.0.clone()).collect()
}

fn media(options: &Options) -> mrfp::Config {
    let mut config = mrfp::Config::default();
    if !options.msrp.is_empty() {
        config.msrp = options.msrp.iter().map(|addr| addr.0).collect();
    }
    config.tls = mrfp::TlsFiles {
        certificate: options.tls_cert.clone(),
        key: options.tls_key.clone(),
        client_ca: options.tls_client_ca.clone(),
    };
    config.origins = origins(options);
    config.advertise = options.advertise.map(|addr| addr.0);
    config.reactor = options.reactor.map_or(config.reactor, |reactor| reactor.0);
    config.shards = options.shards.map(|count| count.0);
    if let Some(above) = options.spread_above {
        config.gateway_limits.spread_above = above.0.get();
    }
    config.xdp_interface = options.xdp_if.as_ref().map(|name| name.0.clone());
    if let Some(busy_poll) = options.busy_poll_us {
        config.busy_poll = busy_poll.into();
    }
    config.tcp_congestion = options.tcp_congestion.as_ref().map(|name| name.0.clone());
    let limits = &mut config.switch_limits;
    if let Some(mib) = options.recipient_queue_mib {
        limits.queue_bytes_max = mib.bytes();
    }
    if let Some(mib) = options.shard_queue_mib {
        limits.shard_queue_bytes_max = mib.bytes();
    }
    config.h248_pdu_bytes_max = options.h248_pdu.map(|pdu| pdu.0);
    if let Some(profile) = &options.h248_profile {
        config.h248_profile.clone_from(&profile.0);
    }
    if let Some(version) = options.h248_version {
        config.version_max = version.0;
    }
    config.honour_sdp = options.honour_sdp.is_some_and(|switch| switch.0);
    if let Some(matching) = options.msrp_match {
        config.matching = matching.0;
    }
    if let Some(after_loss) = options.h248_after_loss {
        config.after_loss = after_loss.0;
    }
    if let Some(delay) = options.h248_restart_delay {
        config.restart_delay_max = delay.0;
    }
    if let Some(timeout) = options.h248_timeout {
        config.h248_timeout = timeout.0.max(H248_TIMEOUT_MIN);
    }
    config.refuses_h248_authentication = options.h248_auth.is_some_and(|auth| auth.0);
    config.context_keep = options.context_keep.map(|keep| keep.0);
    config.storage.clone_from(&options.storage);
    config
}

/// The controller; `create_on_join` unless `options` say otherwise.
#[must_use]
pub fn mrfc(options: &Options, create_on_join: bool) -> mrfc::Config {
    let mut config = mrfc::Config::default();
    if !options.sip.is_empty() {
        config.sip = options.sip.iter().map(|addr| addr.0).collect();
    }
    if !options.h248.is_empty() {
        config.h248 = options.h248.iter().map(|addr| addr.0).collect();
    }
    config.mid = options.mid.clone().map(|mid| mid.0);
    config.domains.clone_from(&options.domain);
    config.create_on_join = options
        .create_on_join
        .map_or(create_on_join, |switch| switch.0);
    let number = |given: Option<Count<NonZeroU32>>, default| given.map_or(default, |n| n.0.get());
    config.max_conferences = number(options.max_conferences, config.max_conferences);
    config.max_participants = number(options.max_participants, config.max_participants);
    config.max_size = options.max_size.map_or(config.max_size, |n| n.0.get());
    config.trusted = options.trusted.iter().map(|t| t.0.clone()).collect();
    config.origins = origins(options);
    config.tls = sip::TlsFiles {
        certificate: options.tls_cert.clone(),
        key: options.tls_key.clone(),
        ca: options.tls_ca.clone(),
        client_ca: options.tls_client_ca.clone(),
    };
    let rule = |given: Option<crate::values::Whoever>, default| given.map_or(default, |who| who.0);
    config.rules.invite = rule(options.may_invite, config.rules.invite);
    config.rules.remove = rule(options.may_remove, config.rules.remove);
    config.rules.watch = rule(options.may_watch, config.rules.watch);
    config.rules.moderators = options.moderator.iter().map(|uri| uri.0.clone()).collect();
    config.profile = options.profile.map_or(config.profile, |profile| profile.0);
    config.notices = options.notices.map(|switch| switch.0);
    let own = mrfc::OwnTexts {
        room: text(options.notice_room.as_ref()),
        present: text(options.notice_present.as_ref()),
        joined: text(options.notice_joined.as_ref()),
        left: text(options.notice_left.as_ref()),
    };
    config.notice_texts = own.or(&config.notice_texts);
    config.contact = options.contact.map_or(config.contact, |form| form.0);
    let charging = |given: &Option<ChargingText>| given.as_ref().map(|text| text.0.clone());
    config.term_ioi = charging(&options.ioi);
    config.charging_function_addresses = charging(&options.charging_function_addresses);
    let own = options.server_identity.as_ref();
    config.server_identity = own.map(|uri| format!("<{}>", uri.0));
    if let Some(interval) = options.session_expires {
        config.session_expires = interval.0;
    }
    config.mrfp_grace = options
        .mrfp_grace
        .map_or(config.mrfp_grace, |grace| grace.0);
    config.media_grace = options
        .media_grace
        .map_or(config.media_grace, |grace| grace.0);
    if let Some(factory) = &options.factory {
        config.factory.clone_from(&factory.0);
    }
    config.ends_with_creator = options.end_with_creator.is_none_or(|switch| switch.0);
    config.cdr.clone_from(&options.cdr);
    config.name_servers = options.name_server.iter().map(|s| s.0).collect();
    config.next_hop = options.next_hop.clone().map(|hop| hop.0);
    config.route = options.route.clone().map(|uri| uri.0);
    if options.offer_actpass.is_some_and(|switch| switch.0) {
        config.offer_setup = sdp::Setup::ActPass;
    }
    if options.offer_tls.is_some_and(|switch| switch.0) {
        config.offer_transport = sdp::Transport::Tls;
    }
    config.conferences = options.conference.iter().map(conference).collect();
    config
}

/// One conference, of the file or made by the API.
#[must_use]
pub fn conference(asked: &ConferenceOptions) -> mrfc::ConferenceConfig {
    let mut conference = mrfc::ConferenceConfig::new(asked.name.clone());
    conference.max_participants = asked.max_participants.map(|n| n.0.get());
    conference.profile = asked.profile.map(|profile| profile.0);
    conference.subject.clone_from(&asked.subject);
    conference.max_size = asked.max_size.map(|n| n.0.get());
    conference.accept_types.clone_from(&asked.accept_types);
    conference
        .accept_wrapped_types
        .clone_from(&asked.accept_wrapped_types);
    conference.nicknames = asked.nicknames.is_none_or(|switch| switch.0);
    conference.private_messages = asked.private_messages.is_none_or(|switch| switch.0);
    conference.moderators = asked.moderator.iter().map(|uri| uri.0.clone()).collect();
    conference.notices = asked.notices.map(|switch| switch.0);
    conference.notice_texts = mrfc::OwnTexts {
        room: text(asked.notice_room.as_ref()),
        present: text(asked.notice_present.as_ref()),
        joined: text(asked.notice_joined.as_ref()),
        left: text(asked.notice_left.as_ref()),
    };
    conference
}

fn text(given: Option<&NoticeText>) -> Option<String> {
    given.map(|text| text.0.clone())
}

/// Where a listener is reached from this host: a wildcard address through loopback.
fn reachable(listener: TransportAddr) -> TransportAddr {
    let addr = listener.addr();
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(core::net::Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    TransportAddr::new(listener.kind(), SocketAddr::new(ip, addr.port()))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let options = Options::default();
        let common = Common::new(&options);
        assert_eq!(common.http, Some(loopback(8080)));
        assert_eq!(common.drain, Duration::from_secs(10));
        let mrfp = mrfp(&options);
        assert_eq!(mrfp.msrp, vec![loopback(2855).into()]);
        assert_eq!(mrfp.h248, vec![TransportAddr::Udp(loopback(0))]);
        assert!(mrfp.mgcs.is_empty());
        assert!(!mrfp.honour_sdp);
        let controller = mrfc(&options, false);
        let sip: Vec<_> = controller.sip.iter().map(ToString::to_string).collect();
        assert_eq!(sip, ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]);
        let h248: Vec<_> = controller.h248.iter().map(ToString::to_string).collect();
        assert_eq!(h248, ["udp:127.0.0.1:2944", "tcp:127.0.0.1:2944"]);
        assert!(!controller.create_on_join);
        assert!(mrfc(&options, true).create_on_join);
    }

    #[test]
    fn the_built_in_mrfp_talks_to_its_controller_over_loopback() {
        let mgc = TransportAddr::Udp("0.0.0.0:2944".parse().unwrap());
        let config = mrfp_beside(&Options::default(), mgc);
        assert_eq!(config.mgcs, vec![TransportAddr::Udp(loopback(2944))]);
        assert_eq!(config.h248, vec![TransportAddr::Udp(loopback(0))]);
        assert!(config.honour_sdp);
        let off = parse("honour-sdp = \"off\"").unwrap();
        assert!(!mrfp_beside(&off, mgc).honour_sdp);
    }

    #[test]
    fn what_is_asked_for_replaces_the_default() {
        let options = parse(
            "http = \"off\"\ndrain = \"1s\"\nmgc = [\"tcp:127.0.0.1:1\"]\nmax-size = 99\n\
             trusted = [\"192.0.2.0/24\", \"::1\"]\nmay-invite = \"nobody\"\n\
             next-hop = \"sips:home2.net\"\nmoderator = \"sip:m@home2.net\"\n\
             contact = \"uri\"\nioi = \"home2.net\"\nserver-identity = \"sip:mrf@home2.net\"\n\
             session-expires = \"off\"\nmrfp-grace = \"1s\"\n\
             charging-function-addresses = 'ccf=\"cdf.home2.net\"'\n\
             notices = \"off\"\nnotice-left = \"weg: {names}\"\n\
             max-participants = 5\n[[conference]]\nname = \"a\"\n[[conference]]\nname = \"b\"\n\
             max-participants = 7\nprofile = \"chatroom\"\nprivate-messages = \"off\"\n\
             notices = \"on\"\nnotice-joined = \"da: {names}\"\n",
        )
        .unwrap();
        assert_eq!(Common::new(&options).http, None);
        assert_eq!(mrfp(&options).mgcs.len(), 1);
        let config = mrfc(&options, false);
        assert_eq!((config.max_size, config.max_participants), (99, 5));
        assert_eq!(
            (config.trusted.len(), config.rules.moderators.len()),
            (2, 1)
        );
        assert_eq!(config.rules.invite, mrfc::WhoMay::Nobody);
        assert!(config.next_hop.is_some() && config.route.is_none());
        let seats: Vec<_> = config
            .conferences
            .iter()
            .map(|c| c.max_participants)
            .collect();
        assert_eq!(seats, [None, Some(7)]);
        let room = &config.conferences[1];
        assert_eq!(room.profile, Some(mrfc::Profile::Chatroom));
        assert!(room.nicknames && !room.private_messages);
        assert_eq!(config.contact, mrfc::ContactForm::Psi);
        assert_eq!(config.term_ioi.as_deref(), Some("home2.net"));
        let ccf = config.charging_function_addresses.as_deref();
        assert_eq!(ccf, Some("ccf=\"cdf.home2.net\""));
        assert_eq!(
            config.server_identity.as_deref(),
            Some("<sip:mrf@home2.net>")
        );
        assert_eq!(config.session_expires, None);
        assert_eq!(config.mrfp_grace, Duration::from_secs(1));
        assert_eq!((config.notices, room.notices), (Some(false), Some(true)));
        let general = mrfc::NoticeTexts {
            left: "weg: {names}".into(),
            ..mrfc::NoticeTexts::default()
        };
        assert_eq!(config.notice_texts, general);
        assert_eq!(room.notice_texts.joined.as_deref(), Some("da: {names}"));
    }
}
