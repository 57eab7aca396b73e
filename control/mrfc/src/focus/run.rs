//! The task: what comes from sockets and clocks goes to the focus, one at a time.

use super::{Command, Focus, Input};
use clock::Instant;
use h248_endpoint::Shell;
use sip::Stack;
use tokio::sync::mpsc;
use tracing::warn;

impl Focus<Stack, Shell> {
    /// Works until `commands` is closed, then closes the SIP side.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let epoch = tokio::time::Instant::now();
        let Some(mut lookups) = self.lookups.take() else {
            return;
        };
        loop {
            let deadline = self.deadline();
            let at = deadline.map(|at| epoch + at.since(Instant::ZERO));
            let input = tokio::select! {
                event = self.sip.next_event() => match event {
                    Some(event) => Input::Sip(event),
                    None => return warn!("the SIP stack stopped"),
                },
                event = self.h248.next() => Input::H248(event),
                Some(lookup) = lookups.recv() => Input::Lookup(lookup),
                command = commands.recv() => match command {
                    Some(command) => Input::Command(command),
                    None => break,
                },
                () = sleep_until(at) => Input::Deadline,
            };
            self.handle(Instant::ZERO + epoch.elapsed(), input).await;
        }
        self.sip.close().await;
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => core::future::pending().await,
    }
}
