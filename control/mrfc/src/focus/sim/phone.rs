//! User agents: they call, are called, watch, refer, and are as polite as their mood lets them.

use super::net::{focus_addr, phone_addr};
use super::world::{World, phone_agent};
use clock::Instant;
use conference::info::Status;
use rand::RngExt;
use rand::rngs::StdRng;
use sip::{Agent, DialogId, Event, Hop, Invite, Method, Output, SipAddr};
use std::collections::{BTreeMap, BTreeSet};

/// What a phone does with NOTIFYs and calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Polite,
    /// It answers no NOTIFY.
    Deaf,
    /// It refuses NOTIFYs, for some seconds or for ever.
    Rude,
    /// It does not acknowledge.
    Careless,
    /// It is busy when it is called.
    Busy,
    /// It lets it ring.
    Out,
}

const MOODS: [Mood; 6] = [
    Mood::Polite,
    Mood::Deaf,
    Mood::Rude,
    Mood::Careless,
    Mood::Busy,
    Mood::Out,
];

/// A session of a phone, as it believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) dialog: DialogId,
    /// Once it is known.
    pub(super) call_id: String,
    /// The phone was gone meanwhile: what it believes may be wrong.
    pub(super) is_doubtful: bool,
    pub(super) conference: String,
    /// It was accepted, and nobody said good-bye.
    pub(super) is_up: bool,
    /// The phone ends it: by CANCEL or BYE.
    pub(super) is_ending: bool,
}

/// A subscription of a phone.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) dialog: DialogId,
    pub(super) event: String,
    pub(super) version: u32,
    /// Endpoints by user, with what they do.
    pub(super) view: BTreeMap<String, BTreeMap<String, Status>>,
    pub(super) is_over: bool,
    /// A SUBSCRIBE in its dialog was refused, or a NOTIFY not taken, or the phone was gone: nobody knows what it
    /// is worth.
    pub(super) is_doubtful: bool,
}

/// A user agent.
pub(super) struct Phone {
    pub(super) number: usize,
    pub(super) agent: Agent,
    pub(super) wait: Option<Instant>,
    pub(super) mood: Mood,
    /// Nothing reaches it, and nothing comes from it.
    pub(super) is_gone: bool,
    pub(super) sessions: Vec<Session>,
    pub(super) watches: Vec<Watch>,
    /// Descriptions so far.
    descriptions: u32,
    /// INVITEs placed, and how often each was answered for good.
    pub(super) placed: BTreeMap<DialogId, u32>,
}

impl Phone {
    pub(super) fn new(number: usize, rng: &mut StdRng) -> Self {
        let mood = if rng.random_bool(0.5) {
            Mood::Polite
        } else {
            MOODS[rng.random_range(0..MOODS.len())]
        };
        Self {
            number,
            agent: phone_agent(number, rng.random()),
            wait: None,
            mood,
            is_gone: false,
            sessions: Vec::new(),
            watches: Vec::new(),
            descriptions: 0,
            placed: BTreeMap::new(),
        }
    }

    pub(super) fn uri(number: usize) -> String {
        format!("sip:u{number}@u{number}.example")
    }

    /// A description of a session, another one each time.
    pub(super) fn describe(&mut self, rng: &mut StdRng, setup: &str) -> String {
        self.descriptions += 1;
        let (ip, count) = (phone_addr(self.number).ip(), self.descriptions);
        let path = count / rng.random_range(1..4);
        let direction = ["sendrecv", "sendrecv", "recvonly", "sendonly", "inactive"];
        let direction = direction[rng.random_range(0..direction.len())];
        format!(
            "v=0\r\no=- 1 {count} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=message 2855 TCP/MSRP *\r\na=accept-types:message/cpim text/plain\r\n\
             a=path:msrp://{ip}:2855/s{path};tcp\r\na=setup:{setup}\r\na={direction}\r\n"
        )
    }

    /// Nothing reaches it from now on, or something does again.
    pub(super) fn set_gone(&mut self, is_gone: bool) {
        self.is_gone = is_gone;
        for session in &mut self.sessions {
            session.is_doubtful = true;
        }
        for watch in &mut self.watches {
            watch.is_doubtful = true;
        }
    }

    pub(super) fn session(&mut self, dialog: DialogId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|s| s.dialog == dialog)
    }

    pub(super) fn end(&mut self, dialog: DialogId) {
        if let Some(session) = self.session(dialog) {
            (session.is_up, session.is_ending) = (false, true);
        }
    }
}

pub(super) fn fields(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let field = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    list.iter().map(field).collect()
}

pub(super) const SDP: (&str, &str) = ("Content-Type", "application/sdp");

impl World {
    fn start(
        &mut self,
        number: usize,
        method: Method,
        conference: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> DialogId {
        let now = self.now;
        let phone = &mut self.phones[number];
        let invite = Invite {
            uri: format!("sip:{conference}@10.0.0.1"),
            hops: vec![Hop {
                addr: SipAddr::udp(focus_addr()),
                name: None,
                near: phone_addr(phone.number),
            }],
            is_proxy: false,
            from: Phone::uri(phone.number),
            headers,
            body,
        };
        let started = phone.agent.start(now, method, invite);
        started.expect("these are URIs")
    }

    pub(super) fn join(&mut self, number: usize, conference: &str) {
        let setup = ["active", "passive", "actpass"][self.rng.random_range(0..3)];
        let mut headers = fields(&[SDP, ("Supported", "timer, 100rel")]);
        if self.chance(20) {
            headers.extend(fields(&[("Require", "100rel")]));
        }
        if self.chance(20) {
            headers.extend(fields(&[("Session-Expires", "200"), ("Min-SE", "90")]));
        }
        let sdp = self.phones[number].describe(&mut self.rng, setup);
        // Some ask for an offer, the factory may be given a list.
        let body = match self.rng.random_range(0..10) {
            0 => {
                headers.retain(|(name, _)| name != "Content-Type");
                Vec::new()
            }
            1 | 2 if conference == "conference-factory" => {
                headers.retain(|(name, _)| name != "Content-Type");
                headers.extend(fields(&[
                    ("Content-Type", "multipart/mixed;boundary=b1"),
                    ("Require", "recipient-list-invite"),
                ]));
                self.with_list(number, &sdp).into_bytes()
            }
            _ => sdp.into_bytes(),
        };
        let dialog = self.start(number, Method::Invite, conference, headers, body);
        let phone = &mut self.phones[number];
        phone.placed.insert(dialog, 0);
        phone.sessions.push(Session {
            dialog,
            call_id: String::new(),
            is_doubtful: phone.is_gone,
            conference: conference.to_owned(),
            is_up: false,
            is_ending: false,
        });
        self.settle();
    }

    fn with_list(&mut self, number: usize, sdp: &str) -> String {
        let count = self.phones.len();
        let others: BTreeSet<_> = (0..2).map(|_| self.rng.random_range(1..=count)).collect();
        let others = others.into_iter().filter(|other| *other != number + 1);
        let entries: String = others
            .map(|other| {
                format!(
                    "<entry uri=\"{}\" cp:copyControl=\"to\"/>",
                    Phone::uri(other)
                )
            })
            .collect();
        format!(
            "--b1\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b1\r\n\
             Content-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n\r\n\
             <?xml version=\"1.0\"?><resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\" \
             xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\"><list>{entries}</list></resource-lists>\r\n--b1--\r\n"
        )
    }

    /// One of a phone's sessions that match.
    pub(super) fn some_session(
        &mut self,
        number: usize,
        is_it: impl Fn(&Session) -> bool,
    ) -> Option<Session> {
        let all = self.phones[number].sessions.iter().filter(|s| is_it(s));
        let all: Vec<_> = all.cloned().collect();
        (!all.is_empty()).then(|| all[self.rng.random_range(0..all.len())].clone())
    }

    /// A phone gives up what it began, or ends what stands.
    pub(super) fn hang_up(&mut self, number: usize, session: &Session) {
        let (now, phone) = (self.now, &mut self.phones[number]);
        if !session.is_up && !phone.placed.contains_key(&session.dialog) {
            // It rings.
            return;
        }
        if let Some(session) = phone.session(session.dialog) {
            session.is_ending = true;
        }
        if session.is_up {
            phone.end(session.dialog);
            phone.agent.bye(now, session.dialog, Vec::new());
        } else {
            phone.agent.cancel(now, session.dialog);
        }
        self.settle();
    }

    /// A phone asks for another session: by re-INVITE or UPDATE, with or without an offer.
    pub(super) fn reoffer(&mut self, number: usize, dialog: DialogId) {
        let is_invite = self.rng.random_bool(0.5);
        self.reoffer_by(
            number,
            dialog,
            if is_invite {
                Method::Invite
            } else {
                Method::Update
            },
        );
    }

    pub(super) fn reoffer_by(&mut self, number: usize, dialog: DialogId, method: Method) {
        let phone = &mut self.phones[number];
        let sdp = phone.describe(&mut self.rng, "active");
        let is_bare = self.rng.random_bool(0.2);
        let (headers, body) = if is_bare {
            (Vec::new(), Vec::new())
        } else {
            (fields(&[SDP]), sdp.into_bytes())
        };
        phone.agent.request(self.now, dialog, method, headers, body);
        self.settle();
    }

    /// A phone watches, in a dialog of its own or in that of a session.
    pub(super) fn subscribe(&mut self, number: usize, conference: &str, within: Option<DialogId>) {
        let expires = ["0", "5", "7", "60", "600", "1800"][self.rng.random_range(0..6)];
        let id = self.rng.random_range(0..1_000_000);
        let event = format!("conference;id={id}");
        let headers = fields(&[("Event", &event), ("Expires", expires)]);
        let dialog = match within {
            Some(dialog) => {
                let (now, agent) = (self.now, &mut self.phones[number].agent);
                agent.hold(dialog);
                agent.request(now, dialog, Method::Subscribe, headers, Vec::new());
                dialog
            }
            None => self.start(number, Method::Subscribe, conference, headers, Vec::new()),
        };
        self.phones[number].watches.push(Watch {
            dialog,
            event,
            version: 0,
            view: BTreeMap::new(),
            is_over: false,
            is_doubtful: false,
        });
        self.settle();
    }

    pub(super) fn resubscribe(&mut self, number: usize, expires: &str) {
        let open = self.phones[number].watches.iter().filter(|w| !w.is_over);
        let open: Vec<_> = open.map(|w| (w.dialog, w.event.clone())).collect();
        if open.is_empty() {
            return;
        }
        let (dialog, event) = &open[self.rng.random_range(0..open.len())];
        let headers = fields(&[("Event", event), ("Expires", expires)]);
        let (now, agent) = (self.now, &mut self.phones[number].agent);
        agent.request(now, *dialog, Method::Subscribe, headers, Vec::new());
        self.settle();
    }

    /// A phone asks for somebody to be called or removed.
    pub(super) fn refer(&mut self, number: usize, conference: &str, within: Option<DialogId>) {
        let other = self.rng.random_range(1..=self.phones.len());
        let uri = Phone::uri(other);
        let target = if self.rng.random_bool(0.6) {
            format!("<{uri}>")
        } else {
            format!("<{uri};method=BYE>")
        };
        let mut headers = fields(&[("Refer-To", &target)]);
        if self.chance(20) {
            headers.extend(fields(&[
                ("Refer-Sub", "false"),
                ("Supported", "norefersub"),
            ]));
        }
        match within {
            Some(dialog) => {
                let (now, agent) = (self.now, &mut self.phones[number].agent);
                agent.request(now, dialog, Method::Refer, headers, Vec::new());
            }
            None => {
                self.start(number, Method::Refer, conference, headers, Vec::new());
            }
        }
        self.settle();
    }

    pub(super) fn drain_phone(&mut self, index: usize) -> bool {
        let mut is_busy = false;
        loop {
            match self.phones[index].agent.poll() {
                Output::Wait(at) => {
                    self.phones[index].wait = at;
                    return is_busy;
                }
                Output::Transmit { to, bytes, txn } => {
                    self.transmit_sip(index + 1, &to, bytes, txn);
                }
                Output::Resolve { txn, .. } => {
                    let hop = Hop {
                        addr: SipAddr::udp(focus_addr()),
                        name: None,
                        near: phone_addr(index + 1),
                    };
                    let (now, agent) = (self.now, &mut self.phones[index].agent);
                    agent.handle_resolved(now, txn, vec![hop]);
                }
                Output::Event(event) => self.handle_phone(index, event),
            }
            is_busy = true;
        }
    }

    fn handle_phone(&mut self, index: usize, event: Event) {
        match event {
            Event::Invite {
                dialog,
                txn,
                request,
                ..
            } => self.ring(index, dialog, txn, &request),
            Event::Request {
                dialog,
                txn,
                request,
                ..
            } => self.asked_of(index, dialog, txn, &request),
            Event::Acked { dialog, .. } => {
                if let Some(session) = self.phones[index].session(dialog) {
                    session.is_up = !session.is_ending;
                }
            }
            Event::Cancelled { dialog, is_initial }
            | Event::PrackTimeout { dialog, is_initial } => {
                if is_initial {
                    self.phones[index].end(dialog);
                }
            }
            Event::AckTimeout { dialog } | Event::Bye { dialog, .. } => {
                self.phones[index].end(dialog);
            }
            Event::Response {
                dialog,
                method,
                response,
                is_synthetic,
                ..
            } => self.answered(index, dialog, &method, &response, is_synthetic),
        }
    }
}
