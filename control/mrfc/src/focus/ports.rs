//! What the focus has others do: SIP, H.248 and lookups. It runs on sockets, and in a simulation without any.

use super::ParticipantId;
use super::calls::Lookup;
use h248::ast::{ActionRequest, ReplyBody, TransactionId};
use h248_endpoint::{Peer, RequestKey, SendError, Shell};
use sip::{Answer, DialogId, Invite, Method, SipAddr, Stack, Target, TxnId, UriError};
use tokio::sync::mpsc;

/// A SIP user agent; what it does is told in [`sip::Agent`].
pub(crate) trait Sip {
    /// The addresses bound.
    fn addrs(&self) -> &[SipAddr];
    async fn respond(&self, txn: TxnId, answer: Answer);
    /// Whether there is a session to end: otherwise nothing is told.
    async fn bye(&self, dialog: DialogId, headers: Vec<(String, String)>) -> bool;
    /// `None` if there is no user agent any more.
    async fn invite(&self, invite: Invite) -> Option<Result<DialogId, UriError>>;
    async fn ack(&self, dialog: DialogId);
    async fn cancel(&self, dialog: DialogId);
    async fn request(
        &self,
        dialog: DialogId,
        method: Method,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Option<TxnId>;
    async fn hold(&self, dialog: DialogId);
    async fn release(&self, dialog: DialogId);
    /// Looks up where a call is to go; `found` is told, whatever comes of it.
    fn look_up(&self, leg: ParticipantId, target: Target, found: &mpsc::Sender<Lookup>);
}

/// An H.248 controller; what it does is told in [`h248_endpoint::Node`].
pub(crate) trait Controller {
    fn send_request(
        &mut self,
        peer: Peer,
        action: ActionRequest,
    ) -> Result<TransactionId, SendError>;
    fn reply(&mut self, key: RequestKey, body: ReplyBody);
}

impl Sip for Stack {
    fn addrs(&self) -> &[SipAddr] {
        self.addrs()
    }

    async fn respond(&self, txn: TxnId, answer: Answer) {
        self.handle().respond(txn, answer).await;
    }

    async fn bye(&self, dialog: DialogId, headers: Vec<(String, String)>) -> bool {
        self.handle().end(dialog, headers).await
    }

    async fn invite(&self, invite: Invite) -> Option<Result<DialogId, UriError>> {
        self.handle().invite(invite).await
    }

    async fn ack(&self, dialog: DialogId) {
        self.handle().ack(dialog, Vec::new(), Vec::new()).await;
    }

    async fn cancel(&self, dialog: DialogId) {
        self.handle().cancel(dialog).await;
    }

    async fn request(
        &self,
        dialog: DialogId,
        method: Method,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Option<TxnId> {
        self.handle().request(dialog, method, headers, body).await
    }

    async fn hold(&self, dialog: DialogId) {
        self.handle().hold(dialog).await;
    }

    async fn release(&self, dialog: DialogId) {
        self.handle().release(dialog).await;
    }

    fn look_up(&self, leg: ParticipantId, target: Target, found: &mpsc::Sender<Lookup>) {
        let (resolver, found) = (self.handle().resolver().clone(), found.clone());
        tokio::spawn(async move {
            let hops = resolver.hops(&target).await;
            // The focus is gone only when the process is stopping.
            let _ = found.send(Lookup { leg, hops }).await;
        });
    }
}

impl Controller for Shell {
    fn send_request(
        &mut self,
        peer: Peer,
        action: ActionRequest,
    ) -> Result<TransactionId, SendError> {
        self.send_request(peer, vec![action])
    }

    fn reply(&mut self, key: RequestKey, body: ReplyBody) {
        self.reply(key, body);
    }
}
