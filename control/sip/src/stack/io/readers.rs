//! Where connections come in: a task a listener.

use super::super::inbox::Inbox;
use super::Input;
use super::datagrams::canonical;
use crate::addr::Transport;
use tokio::net::TcpListener;
use tracing::debug;

pub(super) async fn accept(transport: Transport, listener: TcpListener, inbox: Inbox) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let accepted = Input::Accepted(stream, canonical(remote), transport);
                if !inbox.put(accepted).await {
                    return;
                }
            }
            Err(error) => {
                // Out of descriptors, or a peer that left again: others may still come.
                debug!(%error, "accept failed");
                tokio::time::sleep(core::time::Duration::from_millis(10)).await;
            }
        }
    }
}
