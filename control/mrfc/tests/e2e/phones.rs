//! What participants do in several tests: be called, refer, subscribe, take notifications.

use super::{Bench, OFFER, header};
use clock::Duration;
use sip::{Answer, DialogId, Event, Method, Request, Response, SipClient, TxnId};

/// An answer of UE#2 in the seed, with an address of this host.
pub(crate) fn answer() -> String {
    OFFER
        .replace("s111271", "s417121")
        .replace("a=setup:active", "a=setup:passive")
}

/// Header fields.
pub(crate) fn fields(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect()
}

/// Lets time pass for the focus.
pub(crate) async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// The next INVITE.
pub(crate) async fn invited(client: &mut SipClient) -> (DialogId, TxnId, Request) {
    loop {
        if let Event::Invite {
            dialog,
            txn,
            request,
            ..
        } = client.next_event().await.expect("the stack lives")
        {
            return (dialog, txn, *request);
        }
    }
}

/// A phone that can be called.
pub(crate) struct Callee {
    pub(crate) client: SipClient,
    pub(crate) uri: String,
}

impl Callee {
    pub(crate) async fn new(bench: &Bench, listener: usize) -> Self {
        let client = bench.client(listener).await;
        let local = client.local();
        let transport = local.transport;
        let uri = format!("sip:user2_public1@{};transport={transport}", local.addr);
        Self { client, uri }
    }

    pub(crate) async fn invited(&mut self) -> (DialogId, TxnId, Request) {
        invited(&mut self.client).await
    }

    pub(crate) async fn answer(&mut self, txn: TxnId, code: u16) {
        self.answer_with(txn, Answer::new(code), code == 200).await;
    }

    /// Adds Contact and, if wanted, the answer to the offer.
    pub(crate) async fn answer_with(&mut self, txn: TxnId, answer: Answer, has_session: bool) {
        let local = self.client.local();
        let answer = answer.with("Contact", format!("<sip:user2@{}>", local.addr));
        let answer = if has_session {
            answer.with_body("application/sdp", crate::phones::answer().into_bytes())
        } else {
            answer
        };
        self.client.respond(txn, answer).await;
    }
}

/// Sends a REFER in a dialog.
pub(crate) async fn refer(
    client: &mut SipClient,
    dialog: DialogId,
    refer_to: &str,
    further: &[(&str, &str)],
) -> Response {
    let mut headers = fields(&[("Refer-To", refer_to)]);
    headers.extend(fields(further));
    let answered = client
        .request_with(dialog, Method::Refer, headers, Vec::new())
        .await;
    answered.expect("answered")
}

/// A NOTIFY, answered with 200.
pub(crate) struct Notify {
    pub(crate) event: String,
    /// Subscription-State without the time left.
    pub(crate) state: String,
    pub(crate) contact: String,
    pub(crate) body: Vec<u8>,
}

impl Notify {
    /// The next one, whose body must be of type `kind`.
    pub(crate) async fn next(client: &mut SipClient, kind: &str) -> Self {
        loop {
            let event = client.next_event().await.expect("the stack lives");
            let Event::Request { txn, request, .. } = event else {
                continue;
            };
            client.respond(txn, Answer::new(200)).await;
            assert_eq!(request.method, Method::Notify, "{request:?}");
            let field = |name| header(&request.headers, name).to_owned();
            assert_eq!(field("Content-Type"), kind);
            let state = field("Subscription-State");
            let state = state.split(";expires").next().unwrap_or_default();
            return Self {
                event: field("Event"),
                state: state.to_owned(),
                contact: field("Contact"),
                body: request.body.clone(),
            };
        }
    }
}
