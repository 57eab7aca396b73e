//! The connection between an MRFP and its controller, which a test can stop and cut.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Which way octets go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    ToMrfp,
    ToMrfc,
}

pub(crate) struct Wire {
    addr: SocketAddr,
    /// By way: what comes is lost.
    lost: [Arc<AtomicBool>; 2],
    cuts: watch::Sender<u32>,
}

impl Wire {
    /// Whoever connects to [`Self::addr`] is connected with `mrfc`.
    pub(crate) async fn to(mrfc: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let lost: [Arc<AtomicBool>; 2] = Default::default();
        let (cuts, cut) = watch::channel(0);
        let ways = lost.clone();
        tokio::spawn(async move {
            while let Ok((mrfp, _)) = listener.accept().await {
                let mrfc = TcpStream::connect(mrfc).await.expect("the MRFC listens");
                let (from_mrfp, to_mrfp) = mrfp.into_split();
                let (from_mrfc, to_mrfc) = mrfc.into_split();
                let [down, up] = ways.clone();
                tokio::spawn(pass(from_mrfc, to_mrfp, down, cut.clone()));
                tokio::spawn(pass(from_mrfp, to_mrfc, up, cut.clone()));
            }
        });
        Self { addr, lost, cuts }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on what goes this way is lost, until the next connection.
    pub(crate) fn lose(&self, way: Way) {
        self.lost[way as usize].store(true, Ordering::SeqCst);
    }

    /// Ends the connection; the next one loses nothing.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
        self.lost
            .iter()
            .for_each(|lost| lost.store(false, Ordering::SeqCst));
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    lost: Arc<AtomicBool>,
    mut cut: watch::Receiver<u32>,
) {
    cut.mark_unchanged();
    let mut octets = vec![0; 65_536];
    loop {
        tokio::select! {
            biased;
            // Either is the end.
            _ = cut.changed() => return,
            read = from.read(&mut octets) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let is_lost = lost.load(Ordering::SeqCst);
                    if !is_lost && to.write_all(&octets[..count]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
