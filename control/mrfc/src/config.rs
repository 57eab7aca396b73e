//! What an operator can set.

use crate::terms::Profile;
use clock::Duration;
use conference::notice::Texts;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use h248::ast::MId;
use h248_endpoint::TransportAddr;
use sdp::{Setup, Transport};
use sip::{Credentials, NextHop, SipAddr, TlsFiles, Trusted, Users};

/// One provisioned conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceConfig {
    /// The user part of the conference URI, compared as written (RFC 3261 19.1.4).
    pub name: String,
    /// Seats in this conference; `None` takes [`Config::max_participants`].
    pub max_participants: Option<u32>,
    /// How messages pass; `None` takes [`Config::profile`].
    pub profile: Option<Profile>,
    /// What it is about, for who watches it.
    pub subject: Option<String>,
    /// Octets of the largest message; `None` takes [`Config::max_size`].
    pub max_size: Option<u64>,
    /// Media types accepted; none: those of the profile.
    pub accept_types: Vec<String>,
    /// Media types accepted inside Message/CPIM; none: those of the profile.
    pub accept_wrapped_types: Vec<String>,
    /// In a chat room: whether participants may choose nicknames.
    pub nicknames: bool,
    /// In a chat room: whether messages to one participant pass.
    pub private_messages: bool,
    /// URIs of its moderators; none: those of [`Config::rules`].
    pub moderators: Vec<String>,
    /// Whether who knows no chat rooms is told that this is one; `None` takes [`Config::notices`].
    pub notices: Option<bool>,
    /// What it is told; where one is missing that of [`Config::notice_texts`].
    pub notice_texts: OwnTexts,
}

/// Texts of one conference that replace those of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnTexts {
    /// [`NoticeTexts::room`](crate::NoticeTexts::room).
    pub room: Option<String>,
    /// [`NoticeTexts::present`](crate::NoticeTexts::present).
    pub present: Option<String>,
    /// [`NoticeTexts::joined`](crate::NoticeTexts::joined).
    pub joined: Option<String>,
    /// [`NoticeTexts::left`](crate::NoticeTexts::left).
    pub left: Option<String>,
}

impl OwnTexts {
    /// These, and what they leave open from `others`.
    #[must_use]
    pub fn or(&self, others: &Texts) -> Texts {
        let or = |own: &Option<String>, other: &String| own.as_ref().unwrap_or(other).clone();
        Texts {
            room: or(&self.room, &others.room),
            present: or(&self.present, &others.present),
            joined: or(&self.joined, &others.joined),
            left: or(&self.left, &others.left),
        }
    }
}

impl ConferenceConfig {
    /// A conference called `name` with the general limits.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            max_participants: None,
            profile: None,
            subject: None,
            max_size: None,
            accept_types: Vec::new(),
            accept_wrapped_types: Vec::new(),
            nicknames: true,
            private_messages: true,
            moderators: Vec::new(),
            notices: None,
            notice_texts: OwnTexts::default(),
        }
    }
}

/// How the focus writes its own Contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContactForm {
    /// `sip:conference@host:port` of the listener: clients reach the focus directly.
    #[default]
    HostPort,
    /// The conference URI as it was dialled: behind an I-CSCF that routes the PSI
    /// (TS 24.247 A.5.1 step 12).
    Psi,
}

/// Configuration of the bundled MRFC/AS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// SIP listeners; port 0 lets the system choose.
    pub sip: Vec<SipAddr>,
    /// H.248 listeners; port 0 lets the system choose.
    pub h248: Vec<TransportAddr>,
    /// Name of this MGC in H.248; `None`: the first H.248 address bound.
    pub mid: Option<MId>,
    /// Host parts served, without regard to case; empty: any.
    pub domains: Vec<String>,
    /// Provisioned conferences.
    pub conferences: Vec<ConferenceConfig>,
    /// Whether an INVITE to an unknown name makes that conference.
    pub create_on_join: bool,
    /// User part of the conference factory URI: an INVITE to it makes a conference with a name of
    /// its own (TS 24.147 5.3.2.3.1). `None`: there is no factory.
    pub factory: Option<String>,
    /// Whether a conference made by the factory ends when its creator leaves (TS 24.147 5.3.2.7).
    pub ends_with_creator: bool,
    /// Conferences that may exist at once, provisioned ones included.
    pub max_conferences: u32,
    /// Octets of the largest message accepted (`a=max-size` of the answer).
    pub max_size: u64,
    /// Media types accepted (`a=accept-types` of the answer).
    pub accept_types: Vec<String>,
    /// How messages pass through a conference.
    pub profile: Profile,
    /// Whether who knows no chat rooms is told that it is in one, who else is, and who comes and goes
    /// (RFC 7701 11); `None`: in conferences of [`Profile::Chatroom`]. The MRFP needs package `mess`.
    pub notices: Option<bool>,
    /// What it is told.
    pub notice_texts: Texts,
    /// Seats in one conference.
    pub max_participants: u32,
    /// How the focus writes its Contact.
    pub contact: ContactForm,
    /// Neighbours whose P-Asserted-Identity is believed (RFC 3325); from others only From counts.
    pub trusted: Vec<Trusted>,
    /// Who may call from outside the trust domain (digest authentication); `None`: anybody.
    pub users: Option<Users>,
    /// Who the focus is where its calls are asked.
    pub credentials: Vec<Credentials>,
    /// Name servers that calls of the focus are routed with (RFC 3263); none: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Certificates of SIP over TLS.
    pub tls: TlsFiles,
    /// Origins whose pages may connect by WebSocket, as browsers write them; none: any.
    pub origins: Vec<String>,
    /// Who may ask the focus for what.
    pub rules: conference::Rules,
    /// Next hop of calls that the focus places; `None`: where the URI called leads (RFC 3263).
    pub next_hop: Option<NextHop>,
    /// Route put into those calls, a URI such as `sip:scscf.home2.net;lr;orig`; `None`: none.
    pub route: Option<String>,
    /// `a=setup` of the offers in those calls: `Active` as in TS 24.247 A.5.2, or `ActPass` as RFC 6135
    /// 4.2.2 has it for an MRFP that everybody can reach.
    pub offer_setup: Setup,
    /// What every offer of the focus asks for: `TCP/MSRP` or `TCP/TLS/MSRP`. What peers offer is
    /// answered in kind.
    pub offer_transport: Transport,
    /// `P-Asserted-Identity` of the conference server; `None`: the conference URI.
    pub server_identity: Option<String>,
    /// Our inter-operator identifier: `term-ioi` in answers, `orig-ioi` in calls of ours; `None`:
    /// none.
    pub term_ioi: Option<String>,
    /// `P-Charging-Function-Addresses` of answers to requests that have none, and of calls of ours
    /// (TS 24.247 6.3.2.2.2); `None`: none.
    pub charging_function_addresses: Option<String>,
    /// How long participants are kept after their MRFP was lost (re-registration within this time
    /// does not bring their terminations back).
    pub mrfp_grace: Duration,
    /// How long a participant whose MSRP connection is lost may take to bring a new one before it is
    /// removed (TS 24.247 6.3.2.3.1).
    pub media_grace: Duration,
    /// File to which a line of JSON is appended for every leg that is over; `None`: none.
    pub cdr: Option<std::path::PathBuf>,
    /// Session interval (RFC 4028) for peers that ask for none, at least 90 s: a peer that does not
    /// answer a refresh at half of it is removed. `None`: such peers are left alone.
    pub session_expires: Option<Duration>,
    /// How long the MRFP may take to answer one H.248 transaction.
    pub h248_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            sip: vec![SipAddr::udp(loopback(5060)), SipAddr::tcp(loopback(5060))],
            h248: vec![
                TransportAddr::Udp(loopback(2944)),
                TransportAddr::Tcp(loopback(2944)),
            ],
            mid: None,
            domains: Vec::new(),
            conferences: Vec::new(),
            create_on_join: false,
            factory: Some("conference-factory".to_owned()),
            ends_with_creator: true,
            max_conferences: 10_000,
            max_size: 32_768,
            accept_types: ["message/cpim", "text/plain", "text/html"]
                .map(str::to_owned)
                .to_vec(),
            profile: Profile::ThreeGpp,
            notices: None,
            notice_texts: Texts::default(),
            max_participants: 200,
            contact: ContactForm::HostPort,
            trusted: Vec::new(),
            users: None,
            credentials: Vec::new(),
            name_servers: Vec::new(),
            tls: TlsFiles::default(),
            origins: Vec::new(),
            rules: conference::Rules::default(),
            next_hop: None,
            route: None,
            offer_setup: Setup::Active,
            offer_transport: Transport::Tcp,
            server_identity: None,
            term_ioi: None,
            charging_function_addresses: None,
            mrfp_grace: Duration::from_secs(5),
            media_grace: Duration::from_secs(30),
            cdr: None,
            session_expires: Some(Duration::from_secs(1800)),
            h248_timeout: Duration::from_secs(10),
        }
    }
}
