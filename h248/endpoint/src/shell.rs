//! A node on real sockets, in tokio.

use std::io;

use h248::ast::{ActionRequest, ReplyBody, TransactionId};

use crate::{
    AssociationConfig, Config, Departure, Event, Peer, Registered, RegistrationConfig, RequestKey,
    SendError, TransportAddr,
};

/// Owns the sockets and the protocol machines of one gateway or controller.
///
/// ```text
/// loop {
///     select! {
///         event = shell.next() => match event {
///             Event::Request(request) => { ...; shell.reply(request.key, body); }
///             ...
///         },
///         command = commands.recv() => { shell.send_request(peer, actions)?; }
///     }
/// }
/// ```
///
/// Every method but [`Self::next`] returns at once. Dropping the shell closes everything.
#[derive(Debug)]
pub struct Shell {}

impl Shell {
    /// Opens a gateway and starts to register with the controllers of `registration`. `local`
    /// are UDP addresses to send from; a family of which none is given gets an ephemeral port as
    /// soon as a controller needs it. TCP addresses in `local` are listened on.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound; the error names it.
    pub async fn gateway(
        config: Config,
        registration: RegistrationConfig,
        local: &[TransportAddr],
    ) -> io::Result<Self> {
        let _ = (config, registration, local);
        unimplemented!()
    }

    /// Opens a controller that listens on `listen`.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound; the error names it.
    pub async fn controller(
        config: Config,
        association: AssociationConfig,
        listen: &[TransportAddr],
    ) -> io::Result<Self> {
        let _ = (config, association, listen);
        unimplemented!()
    }

    /// The addresses that were bound, in the order given, with the ports the system chose.
    #[must_use]
    pub fn bound(&self) -> &[TransportAddr] {
        unimplemented!()
    }

    /// The next event. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        unimplemented!()
    }

    /// Sends a request; an [`Event::Reply`] or [`Event::Failed`] with the returned id follows.
    ///
    /// # Errors
    ///
    /// Nothing was sent, and nothing will follow.
    pub fn send_request(
        &mut self,
        peer: Peer,
        actions: Vec<ActionRequest>,
    ) -> Result<TransactionId, SendError> {
        let _ = (peer, actions);
        unimplemented!()
    }

    /// Answers an [`Event::Request`]. Returns false if it was answered already (by us, or with
    /// 506 after too many Pendings).
    pub fn reply(&mut self, key: RequestKey, body: ReplyBody) -> bool {
        let _ = (key, body);
        unimplemented!()
    }

    /// Gateway: tells the controller that we go; [`Event::Departed`] follows a Forced departure.
    pub fn depart(&mut self, departure: Departure) {
        let _ = departure;
        unimplemented!()
    }

    /// The control associations that exist: none or one for a gateway.
    pub fn associations(&self) -> Vec<Registered> {
        unimplemented!()
    }
}
