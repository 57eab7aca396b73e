//! What the focus works with here: a user agent and a controller without sockets, and the time of the world.

use crate::focus::calls::Lookup;
use crate::focus::ports::{Controller, Sip};
use clock::Instant;
use conference::ParticipantId;
use h248::ast::{ActionRequest, ReplyBody, TransactionId};
use h248_endpoint::{Node, Peer, RequestKey, SendError};
use sip::{Agent, Answer, DialogId, Invite, Method, SipAddr, Target, TxnId, UriError};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::mpsc;

/// The agents behind the ports of the focus.
pub(super) struct Behind {
    pub(super) agent: RefCell<Agent>,
    pub(super) node: RefCell<Node>,
    pub(super) now: Cell<Instant>,
    pub(super) lookups: RefCell<Vec<(ParticipantId, Target)>>,
    pub(super) addrs: Vec<SipAddr>,
}

/// The ports of the focus.
#[derive(Clone)]
pub(super) struct Port(pub(super) Rc<Behind>);

impl Sip for Port {
    fn addrs(&self) -> &[SipAddr] {
        &self.0.addrs
    }

    async fn respond(&self, txn: TxnId, answer: Answer) {
        let now = self.0.now.get();
        self.0.agent.borrow_mut().respond(now, txn, &answer);
    }

    async fn bye(&self, dialog: DialogId, headers: Vec<(String, String)>) -> bool {
        let now = self.0.now.get();
        self.0.agent.borrow_mut().bye(now, dialog, headers)
    }

    async fn invite(&self, invite: Invite) -> Option<Result<DialogId, UriError>> {
        let now = self.0.now.get();
        Some(self.0.agent.borrow_mut().invite(now, invite))
    }

    async fn ack(&self, dialog: DialogId) {
        self.0.agent.borrow_mut().ack(dialog, &[], Vec::new());
    }

    async fn cancel(&self, dialog: DialogId) {
        let now = self.0.now.get();
        self.0.agent.borrow_mut().cancel(now, dialog);
    }

    async fn request(
        &self,
        dialog: DialogId,
        method: Method,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Option<TxnId> {
        let now = self.0.now.get();
        let mut agent = self.0.agent.borrow_mut();
        agent.request(now, dialog, method, headers, body)
    }

    async fn hold(&self, dialog: DialogId) {
        self.0.agent.borrow_mut().hold(dialog);
    }

    async fn release(&self, dialog: DialogId) {
        self.0.agent.borrow_mut().release(dialog);
    }

    fn look_up(&self, leg: ParticipantId, target: Target, _: &mpsc::Sender<Lookup>) {
        self.0.lookups.borrow_mut().push((leg, target));
    }
}

impl Controller for Port {
    fn send_request(
        &mut self,
        peer: Peer,
        action: ActionRequest,
    ) -> Result<TransactionId, SendError> {
        let now = self.0.now.get();
        let mut node = self.0.node.borrow_mut();
        node.send_request(now, peer, vec![action])
    }

    fn reply(&mut self, key: RequestKey, body: ReplyBody) {
        let now = self.0.now.get();
        self.0.node.borrow_mut().reply(now, key, body);
    }
}
