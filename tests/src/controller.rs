//! A controller that writes H.248 by hand: datagrams of text.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::steady::steadily;

/// Nothing a controller waits for takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// More messages than this never come before the one awaited.
const MESSAGES_MAX: usize = 20;

/// The controller of one gateway with one context.
#[derive(Debug)]
pub struct Controller {
    socket: UdpSocket,
    gateway: SocketAddr,
    transaction: u32,
    notifies: Vec<String>,
}

impl Controller {
    /// Takes the registration of the gateway that has `socket` for its controller.
    ///
    /// # Panics
    ///
    /// When none comes in time.
    #[must_use]
    pub fn new(socket: UdpSocket) -> Self {
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("no zero duration");
        let mut octets = [0; 65_536];
        let (count, gateway) = steadily(|| socket.recv_from(&mut octets)).expect("in time");
        let text = std::str::from_utf8(&octets[..count]).expect("text");
        let request = transaction(text, "T=").expect("a request");
        let (id, _) = request.split_once('{').expect("an id");
        let reply = format!("!/1 <mgc.example.net> P={id}{{C=-{{SC=ROOT{{SV{{V=2}}}}}}}}");
        socket
            .send_to(reply.as_bytes(), gateway)
            .expect("a way to the gateway");
        Self {
            socket,
            gateway,
            transaction: 0,
            notifies: Vec::new(),
        }
    }

    fn send(&self, text: &str) {
        let text = format!("!/2 <mgc.example.net> {text}");
        self.socket
            .send_to(text.as_bytes(), self.gateway)
            .expect("a way to the gateway");
    }

    /// The next message; requests of the gateway are answered and kept.
    fn receive(&mut self) -> Option<String> {
        let mut octets = [0; 65_536];
        let (count, _) = match steadily(|| self.socket.recv_from(&mut octets)) {
            Ok(received) => received,
            Err(error) => panic!("{error}; notified of {:?}", self.notifies),
        };
        let text = std::str::from_utf8(&octets[..count])
            .expect("text")
            .to_owned();
        let Some(request) = transaction(&text, "T=") else {
            return transaction(&text, "P=").is_some().then_some(text);
        };
        let (id, _) = request.split_once('{').expect("an id");
        self.send(&format!("P={id}{{C=1{{N=msrp/1}}}}"));
        let request = request.to_owned();
        if !self.notifies.contains(&request) {
            self.notifies.push(request);
        }
        None
    }

    /// Requests these actions; returns the message with the reply to them.
    ///
    /// # Panics
    ///
    /// When none comes in time.
    pub fn call(&mut self, actions: &str) -> String {
        self.transaction += 1;
        let id = self.transaction;
        self.send(&format!("T={id}{{{actions}}}"));
        loop {
            if let Some(reply) = self.receive()
                && reply.contains(&format!("P={id}{{"))
            {
                return reply;
            }
        }
    }

    /// Waits for a Notify with all of `parts` in it, and takes it.
    ///
    /// # Panics
    ///
    /// When it does not come.
    #[track_caller]
    pub fn expect_notify(&mut self, parts: &[&str]) {
        for _ in 0..MESSAGES_MAX {
            let mut all = self.notifies.iter();
            if let Some(at) = all.position(|n| parts.iter().all(|p| n.contains(p))) {
                self.notifies.remove(at);
                return;
            }
            self.receive();
        }
        panic!("{parts:?} is missing in {:?}", self.notifies);
    }
}

/// The rest of the first line that begins with `start`, which is how a description in a reply says
/// things.
///
/// # Panics
///
/// When there is none.
#[must_use]
#[track_caller]
pub fn line_of<'a>(reply: &'a str, start: &str) -> &'a str {
    let line = reply.lines().find_map(|l| l.strip_prefix(start));
    line.unwrap_or_else(|| panic!("{start} is missing in {reply}"))
}

/// The transaction in a message, behind header and acknowledgements, when it begins like this.
fn transaction<'a>(message: &'a str, token: &str) -> Option<&'a str> {
    let mut words = message.splitn(3, char::is_whitespace);
    let body = words.nth(2)?.trim_start();
    let acknowledged = body
        .strip_prefix("K{")
        .and_then(|rest| rest.split_once('}'));
    let body = acknowledged.map_or(body, |(_, rest)| rest);
    body.trim_start().strip_prefix(token)
}
