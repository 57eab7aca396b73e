//! The configuration file: TOML, the same keys as the flags, every fault with its place.

mod conference;
mod text;

use core::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::DeTable;

use crate::limits::CONFIG_BYTES_MAX;
use text::{one_or_many, strings};

use crate::position::{Fault, Position};
use crate::values::{
    Advertised, AfterLoss, AuthHeader, BusyPoll, ChargingText, Contact, Count, Digest, DigestQop,
    H248Addr, H248Pdu, H248Profile, H248Version, HttpAddr, LogFilter, LogFormat, Mid, MsrpAddr,
    MsrpMatch, NameOrOff, NameServer, NextHop, NoticeText, Period, PeriodOrOff, Profile, QueueMib,
    Reactor, Shards, SipListener, SipUri, Switch, TcpCongestion, Trusted, Whoever, WsOrigin,
    XdpInterface,
};
pub use conference::{CONFERENCE_KEYS, ConferenceOptions};

/// Every key at the top of a file.
pub const KEYS: &[&str] = &[
    "advertise",
    "busy-poll-us",
    "cdr",
    "charging-function-addresses",
    "conference",
    "contact",
    "context-keep",
    "create-on-join",
    "credentials",
    "digest",
    "digest-qop",
    "domain",
    "drain",
    "end-with-creator",
    "factory",
    "h248",
    "h248-after-loss",
    "h248-auth",
    "h248-pdu",
    "h248-profile",
    "h248-restart-delay",
    "h248-timeout",
    "h248-version",
    "honour-sdp",
    "http",
    "http-token",
    "ioi",
    "log",
    "log-format",
    "log-rate",
    "max-conferences",
    "max-participants",
    "max-size",
    "may-invite",
    "may-remove",
    "may-watch",
    "media-grace",
    "mgc",
    "mid",
    "moderator",
    "mrfp-grace",
    "msrp",
    "msrp-match",
    "name-server",
    "next-hop",
    "notice-joined",
    "notice-left",
    "notice-present",
    "notice-room",
    "notices",
    "offer-actpass",
    "offer-tls",
    "profile",
    "reactor",
    "realm",
    "recipient-queue-mib",
    "route",
    "server-identity",
    "session-expires",
    "shard-queue-mib",
    "shards",
    "sip",
    "spread-above",
    "storage",
    "tcp-congestion",
    "tls-ca",
    "tls-cert",
    "tls-client-ca",
    "tls-key",
    "trusted",
    "users",
    "ws-origin",
    "xdp-if",
];

/// What was asked for, by flags, environment or file; absent means the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Options {
    /// MSRP listeners.
    #[serde(deserialize_with = "one_or_many")]
    pub msrp: Vec<MsrpAddr>,
    /// `--tls-cert`.
    pub tls_cert: Option<PathBuf>,
    /// `--tls-key`.
    pub tls_key: Option<PathBuf>,
    /// `--ws-origin`.
    #[serde(deserialize_with = "one_or_many")]
    pub ws_origin: Vec<WsOrigin>,
    /// `--tls-client-ca`.
    pub tls_client_ca: Option<PathBuf>,
    /// `--tls-ca`.
    pub tls_ca: Option<PathBuf>,
    /// Address in SDP and MSRP URIs.
    pub advertise: Option<Advertised>,
    /// Controllers, the most preferred first.
    #[serde(deserialize_with = "one_or_many")]
    pub mgc: Vec<H248Addr>,
    /// H.248 listeners.
    #[serde(deserialize_with = "one_or_many")]
    pub h248: Vec<H248Addr>,
    /// H.248 name.
    pub mid: Option<Mid>,
    /// Reactor of the shards.
    pub reactor: Option<Reactor>,
    /// Number of shards.
    pub shards: Option<Shards>,
    /// Participants of one conference above which it spreads over the shards.
    pub spread_above: Option<Count<NonZeroU32>>,
    /// Interface of the xdp reactor.
    pub xdp_if: Option<XdpInterface>,
    /// How long a shard polls before it sleeps.
    pub busy_poll_us: Option<BusyPoll>,
    /// TCP's congestion control.
    pub tcp_congestion: Option<TcpCongestion>,
    /// What may wait for one recipient.
    pub recipient_queue_mib: Option<QueueMib>,
    /// What may wait for all recipients of a shard.
    pub shard_queue_mib: Option<QueueMib>,
    /// Whether SDP attributes in H.248 are obeyed.
    pub honour_sdp: Option<Switch>,
    /// How much of a To-Path must match.
    pub msrp_match: Option<MsrpMatch>,
    /// How long contexts are kept without a controller.
    pub context_keep: Option<Period>,
    /// What a registration says after the controller was lost.
    pub h248_after_loss: Option<AfterLoss>,
    /// What becomes of H.248 messages with an authentication header.
    pub h248_auth: Option<AuthHeader>,
    /// Longest random wait before a registration.
    pub h248_restart_delay: Option<Period>,
    /// How long a controller may take to answer before it counts as lost.
    pub h248_timeout: Option<Period>,
    /// Octets of the longest H.248 message sent.
    pub h248_pdu: Option<H248Pdu>,
    /// H.248 profile proposed.
    pub h248_profile: Option<H248Profile>,
    /// Highest H.248 version proposed.
    pub h248_version: Option<H248Version>,
    /// Directory for messages played and recorded.
    pub storage: Option<PathBuf>,
    /// SIP listeners.
    #[serde(deserialize_with = "one_or_many")]
    pub sip: Vec<SipListener>,
    /// Host parts served.
    #[serde(deserialize_with = "strings")]
    pub domain: Vec<String>,
    /// Whether an INVITE to an unknown name makes that conference.
    pub create_on_join: Option<Switch>,
    /// HTTP listener.
    pub http: Option<HttpAddr>,
    /// What users of the API must show.
    pub http_token: Option<String>,
    /// How long leaving may take.
    pub drain: Option<Period>,
    /// Log lines as text or JSON.
    pub log_format: Option<LogFormat>,
    /// Log filter, as in `RUST_LOG`.
    pub log: Option<LogFilter>,
    /// Log lines of one kind a second.
    pub log_rate: Option<u32>,
    /// Conferences that may exist at once.
    pub max_conferences: Option<Count<NonZeroU32>>,
    /// Seats in one conference.
    pub max_participants: Option<Count<NonZeroU32>>,
    /// Octets of the largest message.
    pub max_size: Option<Count<NonZeroU64>>,
    /// Neighbours whose P-Asserted-Identity is believed.
    #[serde(deserialize_with = "one_or_many")]
    pub trusted: Vec<Trusted>,
    /// URIs of moderators.
    #[serde(deserialize_with = "one_or_many")]
    pub moderator: Vec<SipUri>,
    /// Who may have somebody called.
    pub may_invite: Option<Whoever>,
    /// Who may have somebody removed.
    pub may_remove: Option<Whoever>,
    /// Who may watch who takes part.
    pub may_watch: Option<Whoever>,
    /// Next hop of calls that the focus places.
    pub next_hop: Option<NextHop>,
    /// `--users`.
    pub users: Option<PathBuf>,
    /// `--credentials`.
    pub credentials: Option<PathBuf>,
    /// Hash functions offered to them, in order.
    #[serde(deserialize_with = "one_or_many")]
    pub digest: Vec<Digest>,
    /// What their answers may protect.
    #[serde(deserialize_with = "one_or_many")]
    pub digest_qop: Vec<DigestQop>,
    /// The realm of `--users`.
    pub realm: Option<String>,
    /// Name servers.
    #[serde(deserialize_with = "one_or_many")]
    pub name_server: Vec<NameServer>,
    /// Route of calls that the focus places.
    pub route: Option<SipUri>,
    /// Whether offers of the focus leave to the peer who connects.
    pub offer_actpass: Option<Switch>,
    /// Whether offers of the focus ask for TLS.
    pub offer_tls: Option<Switch>,
    /// How messages pass through conferences.
    pub profile: Option<Profile>,
    /// Whether who knows no chat rooms is told about them.
    pub notices: Option<Switch>,
    /// What it is told when it joins.
    pub notice_room: Option<NoticeText>,
    /// How it is told who is there.
    pub notice_present: Option<NoticeText>,
    /// How it is told who came.
    pub notice_joined: Option<NoticeText>,
    /// How it is told who went.
    pub notice_left: Option<NoticeText>,
    /// How long one may be without its MSRP connection.
    pub media_grace: Option<Period>,
    /// User part of the conference factory URI.
    pub factory: Option<NameOrOff>,
    /// Whether a conference of the factory ends with its creator.
    pub end_with_creator: Option<Switch>,
    /// How the focus writes its Contact.
    pub contact: Option<Contact>,
    /// Our inter-operator identifier.
    pub ioi: Option<ChargingText>,
    /// P-Charging-Function-Addresses where a request has none.
    pub charging_function_addresses: Option<ChargingText>,
    /// Who the conference server is.
    pub server_identity: Option<SipUri>,
    /// Session interval for peers that ask for none.
    pub session_expires: Option<PeriodOrOff>,
    /// How long participants are kept after their MRFP was lost.
    pub mrfp_grace: Option<Period>,
    /// File of call detail records.
    pub cdr: Option<PathBuf>,
    /// Provisioned conferences.
    pub conference: Vec<ConferenceOptions>,
}

impl Options {
    /// What `self` leaves open is taken from `fallback`.
    #[must_use]
    pub fn or(self, fallback: Self) -> Self {
        Self {
            msrp: either(self.msrp, fallback.msrp),
            tls_cert: self.tls_cert.or(fallback.tls_cert),
            tls_key: self.tls_key.or(fallback.tls_key),
            ws_origin: either(self.ws_origin, fallback.ws_origin),
            tls_client_ca: self.tls_client_ca.or(fallback.tls_client_ca),
            tls_ca: self.tls_ca.or(fallback.tls_ca),
            advertise: self.advertise.or(fallback.advertise),
            mgc: either(self.mgc, fallback.mgc),
            h248: either(self.h248, fallback.h248),
            mid: self.mid.or(fallback.mid),
            reactor: self.reactor.or(fallback.reactor),
            shards: self.shards.or(fallback.shards),
            spread_above: self.spread_above.or(fallback.spread_above),
            xdp_if: self.xdp_if.or(fallback.xdp_if),
            busy_poll_us: self.busy_poll_us.or(fallback.busy_poll_us),
            tcp_congestion: self.tcp_congestion.or(fallback.tcp_congestion),
            recipient_queue_mib: self.recipient_queue_mib.or(fallback.recipient_queue_mib),
            shard_queue_mib: self.shard_queue_mib.or(fallback.shard_queue_mib),
            honour_sdp: self.honour_sdp.or(fallback.honour_sdp),
            msrp_match: self.msrp_match.or(fallback.msrp_match),
            context_keep: self.context_keep.or(fallback.context_keep),
            h248_after_loss: self.h248_after_loss.or(fallback.h248_after_loss),
            h248_auth: self.h248_auth.or(fallback.h248_auth),
            h248_restart_delay: self.h248_restart_delay.or(fallback.h248_restart_delay),
            h248_timeout: self.h248_timeout.or(fallback.h248_timeout),
            h248_pdu: self.h248_pdu.or(fallback.h248_pdu),
            h248_profile: self.h248_profile.or(fallback.h248_profile),
            h248_version: self.h248_version.or(fallback.h248_version),
            storage: self.storage.or(fallback.storage),
            sip: either(self.sip, fallback.sip),
            domain: either(self.domain, fallback.domain),
            create_on_join: self.create_on_join.or(fallback.create_on_join),
            http: self.http.or(fallback.http),
            http_token: self.http_token.or(fallback.http_token),
            drain: self.drain.or(fallback.drain),
            log_format: self.log_format.or(fallback.log_format),
            log: self.log.or(fallback.log),
            log_rate: self.log_rate.or(fallback.log_rate),
            max_conferences: self.max_conferences.or(fallback.max_conferences),
            max_participants: self.max_participants.or(fallback.max_participants),
            max_size: self.max_size.or(fallback.max_size),
            trusted: either(self.trusted, fallback.trusted),
            moderator: either(self.moderator, fallback.moderator),
            may_invite: self.may_invite.or(fallback.may_invite),
            may_remove: self.may_remove.or(fallback.may_remove),
            may_watch: self.may_watch.or(fallback.may_watch),
            next_hop: self.next_hop.or(fallback.next_hop),
            users: self.users.or(fallback.users),
            credentials: self.credentials.or(fallback.credentials),
            digest: either(self.digest, fallback.digest),
            digest_qop: either(self.digest_qop, fallback.digest_qop),
            realm: self.realm.or(fallback.realm),
            name_server: either(self.name_server, fallback.name_server),
            route: self.route.or(fallback.route),
            offer_actpass: self.offer_actpass.or(fallback.offer_actpass),
            offer_tls: self.offer_tls.or(fallback.offer_tls),
            profile: self.profile.or(fallback.profile),
            notices: self.notices.or(fallback.notices),
            notice_room: self.notice_room.or(fallback.notice_room),
            notice_present: self.notice_present.or(fallback.notice_present),
            notice_joined: self.notice_joined.or(fallback.notice_joined),
            notice_left: self.notice_left.or(fallback.notice_left),
            media_grace: self.media_grace.or(fallback.media_grace),
            factory: self.factory.or(fallback.factory),
            end_with_creator: self.end_with_creator.or(fallback.end_with_creator),
            contact: self.contact.or(fallback.contact),
            ioi: self.ioi.or(fallback.ioi),
            charging_function_addresses: self
                .charging_function_addresses
                .or(fallback.charging_function_addresses),
            server_identity: self.server_identity.or(fallback.server_identity),
            session_expires: self.session_expires.or(fallback.session_expires),
            mrfp_grace: self.mrfp_grace.or(fallback.mrfp_grace),
            cdr: self.cdr.or(fallback.cdr),
            conference: either(self.conference, fallback.conference),
        }
    }
}

fn either<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    if first.is_empty() { second } else { first }
}

/// Why a file was refused; the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is larger than [`CONFIG_BYTES_MAX`].
    #[error("{}: larger than {CONFIG_BYTES_MAX} octets", .0.display())]
    TooLarge(PathBuf),
    /// Its text is wrong.
    #[error("{}:{fault}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Where and what.
        fault: Fault,
    },
}

/// Reads and checks a file.
///
/// # Errors
///
/// [`FileError`], printed as `FILE:line:column: what` when the text is at fault.
pub fn read(path: &Path) -> Result<Options, FileError> {
    let source = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let octets = std::fs::metadata(path).map_err(source)?.len();
    if octets > CONFIG_BYTES_MAX {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(source)?;
    parse(&text).map_err(|fault| FileError::Text {
        path: path.to_owned(),
        fault,
    })
}

/// Parses and checks the text of a file.
///
/// # Errors
///
/// The first [`Fault`] in it.
pub fn parse(text: &str) -> Result<Options, Fault> {
    let table = DeTable::parse(text).map_err(|error| fault(text, &error))?;
    check_keys(text, table.get_ref(), KEYS)?;
    for (key, value) in table.get_ref() {
        let conferences = value.get_ref().as_array();
        if let Some(conferences) = conferences.filter(|_| key.get_ref() == "conference") {
            for one in conferences {
                if let Some(one) = one.get_ref().as_table() {
                    check_keys(text, one, CONFERENCE_KEYS)?;
                }
            }
        }
    }
    toml::from_str(text).map_err(|error| fault(text, &error))
}

fn check_keys(text: &str, table: &DeTable<'_>, known: &[&str]) -> Result<(), Fault> {
    let unknown = table
        .keys()
        .filter(|key| !known.contains(&&**key.get_ref()))
        .min_by_key(|key| key.span().start);
    let Some(key) = unknown else { return Ok(()) };
    let name = key.get_ref();
    let hint = nearest(name, known).map_or_else(
        || format!("; known keys: {}", known.join(", ")),
        |near| format!("; did you mean {near:?}?"),
    );
    Err(Fault {
        at: Position::of(text.as_bytes(), key.span().start),
        what: format!("unknown key {name:?}{hint}"),
    })
}

fn fault(text: &str, error: &toml::de::Error) -> Fault {
    let offset = error.span().map_or(0, |span| span.start);
    Fault {
        at: Position::of(text.as_bytes(), offset),
        what: error.message().replace('\n', "; "),
    }
}

/// The known word that `word` most likely means: at most two edits away, or the same but for
/// `_` and case.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    let mut by_distance: Vec<_> = known.iter().map(|k| (distance(&word, k), *k)).collect();
    by_distance.sort_unstable();
    by_distance
        .first()
        .filter(|(d, _)| *d <= 2)
        .map(|(_, k)| *k)
}

/// Edit distance (insert, delete, replace).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
