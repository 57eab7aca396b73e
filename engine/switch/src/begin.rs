//! How a message begins: to whom it goes, which filters it meets, who records it.
//!
//! ```text
//! bare type           ─► every other participant ─► filters, recorders ─► begun
//! Message/CPIM        ─► headers held until they are all there, over chunks if need be
//!   3gpp              ─► every other participant that takes what is wrapped
//!   chat room         ─► From, To judged: the room, one participant, or 403 404 428
//! ```

use std::sync::Arc;

use clock::Instant;
use msrp::cpim::{self, CpimFault};
use msrp::{Flag, StatusCode};

use crate::api::Octets;
use crate::config::{Profile, SessionConfig, SlowPolicy, Terms};
use crate::connection::{Connection, Frame};
use crate::context::Context;
use crate::ident::ORDINAL_MAX;
use crate::limits::{BEGINNING_BYTES_MAX, Limits};
use crate::lists::Listed;
use crate::message::{Delivery, DeliveryState, Message};
use crate::piece::Piece;
use crate::reach::Meant;
use crate::refusal::Refusal;
use crate::session::{Kind, Session, SessionRef};
use crate::shard::Shard;
use crate::users::{NOBODY, is_one_of, is_same_user};

/// Whether a message may go on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// What was held before (in [`Frame::held`]) goes on, and then what is here.
    Now,
    /// More is needed first; what is here is kept.
    Held,
}

/// To whom a message goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Audience<'a> {
    /// All but its sender.
    Others,
    /// The participant of this URI, on all its sessions (RFC 7701 6.2).
    User(&'a [u8]),
}

impl<B: Octets> Shard<B> {
    /// Lets the chunk in `frame` begin its message.
    pub(crate) fn begin_message(
        &mut self,
        sender: SessionRef,
        frame: &mut Frame,
        piece: &Piece<'_, B>,
        flag: Option<Flag>,
    ) -> Result<Begin, Refusal> {
        let Some(chunk) = &frame.chunk else {
            return Ok(Begin::Now);
        };
        let slot = chunk.slot;
        let wrapper = self.messages[slot as usize].wrapper.take();
        let is_wrapped = wrapper.is_some();
        if let Some(mut wrapper) = wrapper {
            let before = wrapper.held().len();
            let head = match wrapper.next(piece.octets()) {
                Ok(cpim::Step::More) if flag != Some(Flag::Complete) => {
                    self.messages[slot as usize].wrapper = Some(wrapper);
                    return Ok(Begin::Held);
                }
                Ok(cpim::Step::More) => wrapper.finish(),
                Ok(cpim::Step::Head { text, .. }) => Ok(text),
                Err(fault) => Err(fault),
            };
            let here = (before + piece.len()) as u64;
            let meant = self.address(sender, slot, head)?;
            let head = head.map_err(|_| StatusCode::STOP_SENDING);
            if self.messages[slot as usize].is_watched {
                self.filter_message(sender, chunk, head, here, flag)?;
            }
            self.ship_beginning(slot, meant);
            frame.held.clear();
            frame.held.extend_from_slice(&wrapper.held()[..before]);
        } else if self.messages[slot as usize].is_watched {
            self.filter_message(sender, chunk, Ok(&[]), piece.len() as u64, flag)?;
        }
        let message = &mut self.messages[slot as usize];
        message.is_begun = true;
        let is_watched = message.is_watched;
        if message.far.is_some() && !is_wrapped {
            self.ship_beginning(slot, Meant::default());
        }
        if is_watched {
            self.note_recorders(sender, slot);
        }
        Ok(Begin::Now)
    }

    /// Decides who gets a message whose CPIM headers are there, or cannot be read.
    fn address<'a>(
        &mut self,
        sender: SessionRef,
        slot: u32,
        text: Result<&'a [u8], CpimFault>,
    ) -> Result<Meant<'a>, Refusal> {
        let head = text.and_then(cpim::Head::parse);
        let entry = &self.sessions[sender.index as usize];
        let (audience, wrapped) = match (entry.config.terms.profile, &head) {
            (Profile::Chatroom, Ok(head)) => {
                (self.judge_addresses(sender, head)?, head.content_type)
            }
            (Profile::Chatroom, Err(CpimFault::Repeated)) => return Err(Refusal::WrongSender),
            (Profile::Chatroom, Err(fault)) => return Err(Refusal::Wrapper(*fault)),
            (Profile::ThreeGpp, Ok(head)) => (Audience::Others, head.content_type),
            (Profile::ThreeGpp, Err(_)) => (Audience::Others, None),
        };
        // What does not say its type is plain text (RFC 2045 5.2).
        let wrapped = head.is_ok().then_some(wrapped.unwrap_or(b"text/plain"));
        if wrapped.is_some_and(|wrapped| !entry.accepts_wrapped(wrapped)) {
            return Err(Refusal::WrappedTypeNotAccepted);
        }
        let kind = Kind {
            content_type: b"message/cpim",
            wrapped,
        };
        let message = &mut self.messages[slot as usize];
        // Taken out for the moment: the whole shard is needed to list.
        let mut listed = Message::new(message.generation, sender, message.touched_at);
        core::mem::swap(&mut listed.deliveries, &mut message.deliveries);
        let all = self.list_recipients(sender, kind, audience, &mut listed);
        if all.is_partial {
            self.list_shares(sender, audience, &mut listed);
        }
        let message = &mut self.messages[slot as usize];
        message.deliveries = listed.deliveries;
        message.far = listed.far;
        message.failure = listed.failure;
        message.is_watched = listed.is_watched;
        let user = match audience {
            Audience::Others => None,
            Audience::User(user) => Some(user),
        };
        Ok(Meant { wrapped, user })
    }

    /// The rules of a chat room (RFC 7701 6.1 and 6.2) in their order: From, number of To, To, and
    /// whether that participant takes private messages.
    fn judge_addresses<'a>(
        &self,
        sender: SessionRef,
        head: &cpim::Head<'a>,
    ) -> Result<Audience<'a>, Refusal> {
        let entry = &self.sessions[sender.index as usize];
        let own = entry.config.user.as_deref();
        let from = head.from.ok_or(Refusal::WrongSender)?;
        if own.is_some_and(|own| !is_one_of(from.uri, own)) {
            return Err(Refusal::WrongSender);
        }
        if head.to_count > 1 {
            return Err(Refusal::SeveralRecipients);
        }
        let to = head.to.ok_or(Refusal::UnknownRecipient)?.uri;
        let room = entry.config.terms.room.as_deref();
        if room.is_some_and(|room| is_same_user(room.as_bytes(), to)) {
            return Ok(Audience::Others);
        }
        // Several may speak as nobody in particular; what is private is not for all of them.
        if is_same_user(NOBODY, to) {
            return Err(Refusal::UnknownRecipient);
        }
        let context = self.contexts.get(&entry.context);
        let sessions = context.into_iter().flat_map(Context::members);
        let configs = sessions.map(|s| &self.sessions[s.index as usize].config);
        let is_it = |c: &&SessionConfig| c.user.as_deref().is_some_and(|u| is_one_of(to, u));
        let mut recipients = configs.filter(is_it).peekable();
        if recipients.peek().is_none() {
            return Err(Refusal::UnknownRecipient);
        }
        if !entry.config.terms.private_messages {
            return Err(Refusal::PrivateNotAllowed);
        }
        if !recipients.any(|c| c.terms.takes_private_messages) {
            return Err(Refusal::PrivateNotSupported);
        }
        Ok(Audience::User(to))
    }

    /// Gives a message its deliveries: one for every session that is to get it from `sender`, in the
    /// order of their seats; those that cannot be served have failed.
    pub(crate) fn list_recipients(
        &mut self,
        sender: SessionRef,
        kind: Kind<'_>,
        audience: Audience<'_>,
        message: &mut Message,
    ) -> Listed {
        let mut listed = Listed {
            is_partial: false,
            is_lasting: false,
            bytes_max: u64::MAX,
        };
        let Self {
            sessions,
            contexts,
            conns,
            turn,
            gauges,
            ..
        } = self;
        let limits = &self.config.limits;
        let from = &sessions[sender.index as usize];
        let Some(context) = contexts.get(&from.context) else {
            return listed;
        };
        listed.is_partial = context.reach.is_some();
        message.is_watched = from.config.is_watching();
        let stream = from.key.stream;
        let is_droppable = kind.is_droppable();
        let room = ORDINAL_MAX - message.deliveries.len();
        message.deliveries.reserve(context.sessions.len().min(room));
        // What depends on the terms alone is judged once for all who have the same.
        let mut known = None;
        let mut has_unaided = false;
        for &to in &context.sessions {
            let entry = &mut sessions[to.index as usize];
            let Some(conn) = entry.recipient_conn() else {
                continue;
            };
            let is_meant = to != sender && entry.key.stream == stream;
            if !is_meant || !context.is_open(sender, to) || !is_addressed(entry, audience) {
                continue;
            }
            let terms = Arc::as_ptr(&entry.config.terms);
            let stance = match known {
                Some((of, stance)) if of == terms => stance,
                _ => {
                    let stance = Stance::of(&entry.config.terms, kind);
                    known = Some((terms, stance));
                    stance
                }
            };
            has_unaided |= stance.is_unaided;
            listed.bytes_max = listed.bytes_max.min(stance.bytes_max);
            let refusal = if !stance.takes {
                Some(StatusCode::UNSUPPORTED_MEDIA)
            } else if (is_droppable || stance.is_unaided)
                && let Some(connection) = conns.get_mut(conn)
                && let Some(since) = congestion(connection, message.touched_at, limits)
            {
                entry.statistics.messages_dropped += 1;
                gauges.add_dropped(1);
                let congested = message.touched_at.since(since);
                if stance.is_unaided && congested >= limits.congestion_timeout {
                    turn.overflowed.push(conn);
                }
                Some(StatusCode::TIMEOUT)
            } else {
                None
            };
            let state = match refusal {
                // Nobody misses it.
                Some(_) if is_droppable => continue,
                Some(_) => DeliveryState::Failed,
                None => DeliveryState::Going,
            };
            message.failure = message.failure.or(refusal);
            message.is_watched |= stance.is_watching || entry.config.is_recording();
            if message.deliveries.len() < ORDINAL_MAX {
                message
                    .deliveries
                    .push(Delivery::new(to, entry.seat, state));
            }
        }
        let is_for_others = matches!(audience, Audience::Others) && !kind.can_be_wrapped();
        listed.is_lasting = is_for_others
            && !(listed.is_partial || is_droppable || has_unaided || message.failure.is_some());
        listed
    }
}

/// What a recipient's terms say about a kind of message.
#[derive(Clone, Copy, Debug)]
struct Stance {
    takes: bool,
    /// Nobody waits for the recipient.
    is_unaided: bool,
    is_watching: bool,
    /// Longest message it takes, octets.
    bytes_max: u64,
}

impl Stance {
    fn of(terms: &Terms, kind: Kind<'_>) -> Self {
        Self {
            takes: kind.is_taken(terms),
            is_unaided: terms.slow == SlowPolicy::Drop,
            is_watching: terms.are_watching(),
            bytes_max: terms.send_bytes_max.unwrap_or(u64::MAX),
        }
    }
}

/// Since when a connection has been congested, if it is (RFC 7701 6.4).
fn congestion<B: Octets>(
    connection: &mut Connection<B>,
    now: Instant,
    limits: &Limits,
) -> Option<Instant> {
    let is_congested = connection.tx.queued() > limits.congestion_mark_bytes();
    is_congested.then(|| *connection.brake.congested_since.get_or_insert(now))
}

#[inline]
pub(crate) fn is_addressed(entry: &Session, audience: Audience<'_>) -> bool {
    match audience {
        Audience::Others => true,
        Audience::User(to) => is_user(entry, to),
    }
}

fn is_user(entry: &Session, to: &[u8]) -> bool {
    let user = entry.config.user.as_deref();
    entry.config.terms.takes_private_messages && user.is_some_and(|user| is_one_of(to, user))
}

/// Reads the headers of a message that begins.
pub(crate) fn new_wrapper() -> Box<cpim::Scanner> {
    Box::new(cpim::Scanner::new(BEGINNING_BYTES_MAX))
}
