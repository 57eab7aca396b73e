//! One participant: its dialog, its termination, and what is known of it.

use super::notices::Told;
use super::refers::ReferId;
use crate::cdr::Record;
use crate::commands::{Added, mid_text, termination_text};
use crate::headers::Fields;
use crate::identity::Identity;
use crate::media::{Offer, Ours, Reserved, Side};
use crate::session_timer::SessionTimer;
use clock::TimerKey;
use conference::ParticipantId;
use h248::ast::{MId, StreamMode};
use sip::{DialogId, TxnId, Uri};

/// One participant's dialog and termination.
pub(super) struct Leg {
    pub(super) conference: String,
    /// None before a call of ours is placed.
    pub(super) dialog: Option<DialogId>,
    /// The INVITE or UPDATE that awaits our final response.
    pub(super) txn: Option<TxnId>,
    pub(super) call_id: String,
    pub(super) identity: Identity,
    /// Where it is reached: its Contact.
    pub(super) contact: String,
    /// Set where the focus called it.
    pub(super) call: Option<Call>,
    /// REFERs whose outcome is that of this leg.
    pub(super) watchers: Vec<ReferId>,
    /// REFERs that came in its dialog.
    pub(super) refers: u32,
    /// Fields of every positive answer.
    pub(super) fields: Fields,
    /// The description in force; none until the ACK answers our own offer.
    pub(super) offer: Option<Offer>,
    /// The description that a Modify is to bring into force.
    pub(super) next_offer: Option<Offer>,
    /// The MRFP may have another description than that in force: one that was refused.
    pub(super) is_remote_due: bool,
    /// The Local descriptor as the MRFP was asked for it, and as it was asked anew.
    pub(super) local: String,
    pub(super) next_local: Option<String>,
    /// What an offer of ours says.
    pub(super) ours: Ours,
    /// Our offer went out in a 200: the ACK must answer it.
    pub(super) awaits_answer: bool,
    pub(super) placed: Option<Placed>,
    pub(super) origin: (u64, u64),
    pub(super) session: Option<SessionTimer>,
    pub(super) session_due: Option<TimerKey>,
    /// Whether it takes UPDATE, as far as it said.
    pub(super) allows_update: bool,
    /// A re-INVITE of ours is under way.
    pub(super) is_refreshing: bool,
    /// Its connection is lost.
    pub(super) media_due: Option<TimerKey>,
    /// What it was told of the conference, where it knows no chat rooms.
    pub(super) told: Option<Told>,
    /// Our last description.
    pub(super) answer: String,
    pub(super) is_connected: bool,
    /// When that was, seconds since 1970.
    pub(super) joined_at: Option<u64>,
    /// What it is called here, if it chose that.
    pub(super) nickname: Option<String>,
    /// When the leg began, seconds since 1970.
    pub(super) began_at: u64,
    /// How it came to its end.
    pub(super) cause: &'static str,
    pub(super) icid: Option<String>,
    /// What its MRFP said against it last.
    pub(super) fault: Option<String>,
    /// What its MRFP counted.
    pub(super) statistics: Vec<(String, String)>,
    /// Nothing more happens on the SIP side.
    pub(super) is_sip_over: bool,
    /// Nothing more happens on the H.248 side.
    pub(super) is_media_over: bool,
}

/// A termination and where it is.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) mrfp: MId,
    pub(super) added: Added,
    pub(super) reserved: Reserved,
}

impl Leg {
    /// `origin` names its sessions in descriptions of ours.
    pub(super) fn new(conference: &str, identity: Identity, origin: u32) -> Self {
        let origin = u64::from(origin);
        Self {
            conference: conference.to_owned(),
            dialog: None,
            txn: None,
            call_id: String::new(),
            identity,
            contact: String::new(),
            call: None,
            watchers: Vec::new(),
            refers: 0,
            fields: Fields::new(),
            offer: None,
            next_offer: None,
            is_remote_due: false,
            local: String::new(),
            next_local: None,
            ours: Ours::default(),
            awaits_answer: false,
            placed: None,
            origin: (origin, origin),
            session: None,
            session_due: None,
            allows_update: true,
            is_refreshing: false,
            media_due: None,
            told: None,
            answer: String::new(),
            is_connected: false,
            joined_at: None,
            nickname: None,
            began_at: seconds(),
            cause: "",
            icid: None,
            fault: None,
            statistics: Vec::new(),
            is_sip_over: false,
            is_media_over: false,
        }
    }

    pub(super) fn connect(&mut self) {
        self.is_connected = true;
        self.joined_at = Some(seconds());
    }

    /// The first cause counts.
    pub(super) fn end(&mut self, cause: &'static str) {
        if self.cause.is_empty() {
            self.cause = cause;
        }
    }

    pub(super) fn record(self, id: ParticipantId) -> Record {
        let placed = self.placed.as_ref();
        Record {
            leg: id.0,
            is_called: self.call.is_some(),
            began_at: self.began_at,
            joined_at: self.joined_at,
            ended_at: seconds(),
            cause: self.cause,
            mrfp: placed.map(|p| mid_text(&p.mrfp)),
            termination: placed.map(|p| termination_text(&p.added.termination)),
            conference: self.conference,
            call_id: self.call_id,
            uri: self.identity.uri,
            icid: self.icid,
            statistics: self.statistics,
        }
    }

    /// What the participant may do, as it sees it itself.
    pub(super) fn media_direction(&self, is_muted: bool) -> &'static str {
        match self.offer.as_ref().map(Offer::mode) {
            Some(StreamMode::SendReceive) | None if is_muted => "recvonly",
            Some(StreamMode::SendReceive) | None => "sendrecv",
            Some(StreamMode::ReceiveOnly) if is_muted => "inactive",
            Some(StreamMode::ReceiveOnly) => "sendonly",
            Some(StreamMode::SendOnly) => "recvonly",
            Some(StreamMode::Inactive | StreamMode::Loopback) => "inactive",
        }
    }

    /// The endpoint, as others may see it.
    pub(super) fn endpoint(&self, id: ParticipantId) -> String {
        if self.identity.is_anonymous {
            self.identity.shown(id.0)
        } else {
            self.contact.clone()
        }
    }

    pub(super) fn side(&self) -> Side<'_> {
        Side {
            offer: self.offer.as_ref(),
            ours: self.ours,
        }
    }
}

/// What the focus needs to know to call somebody.
pub(super) struct Call {
    pub(super) target: Uri,
    /// Fields that the REFER asked for: Referred-By, Replaces.
    pub(super) fields: Fields,
    /// Who else was invited, as far as it may know.
    pub(super) history: Option<String>,
    /// Who asked, if others may know.
    pub(super) referrer: Option<String>,
    pub(super) is_alerting: bool,
    /// A reliable provisional response with a session description: our offer is answered.
    pub(super) early: Option<sip::Response>,
    /// Nobody wants it any more: whatever comes is ended.
    pub(super) is_given_up: bool,
}

/// The time of day, seconds since 1970.
fn seconds() -> u64 {
    std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_secs())
}
