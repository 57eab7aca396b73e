//! What phones do when they are called, told and answered.

use super::net::phone_addr;
use super::phone::{Mood, SDP, Session, fields};
use super::world::{Happening, World};
use clock::Duration;
use conference::info::{Document, State, Status};
use rand::RngExt;
use sip::{Answer, DialogId, Method, Request, Response, TxnId};

impl World {
    /// The focus calls.
    pub(super) fn ring(&mut self, index: usize, dialog: DialogId, txn: TxnId, request: &Request) {
        let phone = &mut self.phones[index];
        let from = request.headers.from().expect("read by the agent");
        let conference = from.uri.user().unwrap_or_default().to_owned();
        let call_id = request.headers.call_id().unwrap_or_default();
        phone.sessions.push(Session {
            dialog,
            call_id: call_id.to_owned(),
            is_doubtful: false,
            conference,
            is_up: false,
            is_ending: false,
        });
        let sdp = phone.describe(&mut self.rng, "passive");
        let mood = phone.mood;
        let contact = format!("<sip:u{}@{}>", phone.number, phone_addr(phone.number));
        let rings = Answer::new(180).with("Contact", contact.clone());
        let wait = Duration::from_millis(self.rng.random_range(100..20_000));
        if self.chance(70) {
            let soon = Duration::from_millis(self.rng.random_range(0..100));
            self.later(soon, Happening::Answer(index, txn, Box::new(rings)));
        }
        let answer = match (mood, self.rng.random_range(0..10)) {
            (Mood::Out, _) => return,
            (Mood::Busy, _) => Answer::new(486),
            (_, 0) => Answer::new(415),
            (_, 1) => Answer::new(200).with("Contact", contact),
            _ => Answer::new(200)
                .with("Contact", contact)
                .with_body("application/sdp", sdp),
        };
        self.later(wait, Happening::Answer(index, txn, Box::new(answer)));
    }

    pub(super) fn asked_of(
        &mut self,
        index: usize,
        dialog: Option<DialogId>,
        txn: TxnId,
        request: &Request,
    ) {
        let mut answer = Answer::new(200);
        if request.method == Method::Notify {
            let is_watch = request
                .headers
                .get("Event")
                .is_some_and(|e| e.starts_with("conf"));
            let mood = self.phones[index].mood;
            let is_again = mood == Mood::Rude && self.rng.random_bool(0.5);
            if let Some(dialog) = dialog.filter(|_| is_watch) {
                let is_untaken = matches!(mood, Mood::Rude | Mood::Deaf);
                self.see(index, dialog, request, is_untaken);
            }
            match mood {
                Mood::Deaf => return,
                Mood::Rude if is_again => answer = Answer::new(503).with("Retry-After", "3"),
                Mood::Rude => answer = Answer::new(481),
                Mood::Polite | Mood::Careless | Mood::Busy | Mood::Out => {}
            }
        } else if request.method == Method::Invite || !request.body.is_empty() {
            let phone = &mut self.phones[index];
            let contact = format!("<sip:u{}@{}>", phone.number, phone_addr(phone.number));
            let sdp = phone.describe(&mut self.rng, "passive");
            answer = answer
                .with("Contact", contact)
                .with_body("application/sdp", sdp);
        }
        let wait = Duration::from_millis(self.rng.random_range(0..200));
        self.later(wait, Happening::Answer(index, txn, Box::new(answer)));
    }

    /// A roster is told: each version follows the one before.
    fn see(&mut self, index: usize, dialog: DialogId, request: &Request, is_untaken: bool) {
        let headers = &request.headers;
        let (event, state) = (headers.get("Event"), headers.get("Subscription-State"));
        let (event, state) = (event.unwrap_or_default(), state.unwrap_or_default());
        let mut watches = self.phones[index].watches.iter_mut();
        let watch = watches.find(|w| w.dialog == dialog && w.event == event);
        let Some(watch) = watch else {
            return;
        };
        assert!(
            !watch.is_over || watch.is_doubtful,
            "a NOTIFY after the last one"
        );
        watch.is_over = state.starts_with("terminated");
        if request.body.is_empty() {
            assert!(watch.is_over, "a NOTIFY says nothing");
            return;
        }
        let document = Document::read(&request.body).expect("a document");
        // One that was given up meanwhile begins anew when it is asked for again.
        let is_new = watch.is_doubtful && document.version == 1;
        let is_next = document.version == watch.version + 1;
        assert!(is_next || is_new, "versions count up: {}", document.version);
        watch.version = document.version;
        watch.is_doubtful |= is_untaken;
        match document.state {
            State::Full => watch.view.clear(),
            State::Partial => assert!(watch.version > 1, "the first one is whole"),
            State::Deleted => return watch.view.clear(),
        }
        for user in document.users {
            if user.state == State::Deleted {
                watch.view.remove(&user.entity);
                continue;
            }
            let endpoints = user.endpoints.into_iter();
            let endpoints = endpoints.map(|endpoint| (endpoint.entity, endpoint.status));
            let known = watch.view.entry(user.entity).or_default();
            if user.state == State::Full {
                known.clear();
            }
            known.extend(endpoints.filter(|(_, status)| *status != Status::Disconnected));
        }
    }

    pub(super) fn answered(
        &mut self,
        index: usize,
        dialog: DialogId,
        method: &Method,
        response: &Response,
        is_synthetic: bool,
    ) {
        let (now, code) = (self.now, response.code);
        if code < 200 {
            return;
        }
        let phone = &mut self.phones[index];
        match method {
            Method::Invite => {
                let is_first = phone.placed.get(&dialog) == Some(&0);
                if let Some(count) = phone.placed.get_mut(&dialog).filter(|_| is_first) {
                    *count += 1;
                }
                if code >= 300 {
                    // Later ones leave the session as it is, but for these (RFC 3261 12.2.1.2).
                    if is_first || matches!(code, 408 | 481) {
                        phone.end(dialog);
                        phone.agent.bye(now, dialog, Vec::new());
                    }
                    return;
                }
                if phone.mood != Mood::Careless || !is_first {
                    let sdp = phone.describe(&mut self.rng, "passive");
                    // Only who asked for an offer has to answer one; others do not look.
                    phone.agent.ack(dialog, &fields(&[SDP]), sdp.into_bytes());
                }
                let is_careless = phone.mood == Mood::Careless;
                if let Some(session) = phone.session(dialog) {
                    let call_id = response.headers.call_id().unwrap_or_default();
                    call_id.clone_into(&mut session.call_id);
                    if session.is_ending {
                        // The CANCEL came too late.
                        phone.agent.bye(now, dialog, Vec::new());
                    } else if is_first {
                        session.is_up = !is_careless;
                    }
                }
            }
            Method::Subscribe if code >= 300 => {
                let doubtful = phone.watches.iter_mut().filter(|w| w.dialog == dialog);
                doubtful.for_each(|watch| watch.is_doubtful = true);
            }
            Method::Update if is_synthetic || code == 481 => {
                phone.end(dialog);
                phone.agent.bye(now, dialog, Vec::new());
            }
            _ => {}
        }
    }
}
