//! Lines on their way to standard error. A thread of its own writes them: who reads them may be slow, or
//! a terminal that was stopped, and neither may stop a shard.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use tokio::sync::Notify;
use tracing_subscriber::fmt::MakeWriter;

use crate::limits::{LOG_FLUSH_WITHIN, LOG_QUEUE_BYTES_MAX};

enum Item {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// Where lines are put; never waits.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: Sender<Item>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    lost: AtomicU64,
    /// Told when one was lost.
    news: Arc<Notify>,
}

impl Writer {
    /// Starts the thread, which writes to `output` as long as there is a writer.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub(super) fn start(
        output: impl Write + Send + 'static,
        news: Arc<Notify>,
    ) -> io::Result<Self> {
        let (queue, items) = channel();
        let writer = Self {
            queue,
            shared: Arc::new(Shared {
                news,
                ..Shared::default()
            }),
        };
        let shared = writer.shared.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(output, &items, &shared))?;
        Ok(writer)
    }

    fn put(&self, line: &[u8]) {
        let queued = &self.shared.queued_bytes;
        if queued.fetch_add(line.len(), Ordering::Relaxed) + line.len() > LOG_QUEUE_BYTES_MAX {
            queued.fetch_sub(line.len(), Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            self.shared.news.notify_one();
            return;
        }
        // The thread lives as long as we do.
        let _ = self.queue.send(Item::Line(line.to_vec()));
    }

    /// Waits until what was put is written, but not for long.
    pub(super) fn flush(&self) {
        let (done, is_done) = sync_channel(1);
        if self.queue.send(Item::Flush(done)).is_ok() {
            let _ = is_done.recv_timeout(LOG_FLUSH_WITHIN);
        }
    }

    /// Lines lost since the last call, because nobody took them.
    pub(super) fn take_lost(&self) -> u64 {
        self.shared.lost.swap(0, Ordering::Relaxed)
    }
}

fn write(mut output: impl Write, items: &Receiver<Item>, shared: &Shared) {
    while let Ok(item) = items.recv() {
        match item {
            Item::Line(line) => {
                // Nobody is left to be told that the log cannot be written.
                let _ = output.write_all(&line);
                shared.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            }
            Item::Flush(done) => {
                let _ = output.flush();
                let _ = done.try_send(());
            }
        }
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::Receiver;

    /// Takes nothing before it is told to.
    struct Stuck {
        go: Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            // Once nobody tells any more, everything is taken.
            let _ = self.go.recv();
            self.taken.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_nobody_waits() {
        let (tell, go) = channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let stuck = Stuck {
            go,
            taken: taken.clone(),
        };
        let writer = Writer::start(stuck, Arc::default()).unwrap();
        let line = vec![b'x'; 1024];
        let room = LOG_QUEUE_BYTES_MAX / line.len();
        for _ in 0..room + 10 {
            writer.put(&line);
        }
        assert_eq!((writer.take_lost(), writer.take_lost()), (10, 0));
        drop(tell);
        writer.flush();
        assert_eq!(taken.lock().unwrap().len(), room * line.len());
        writer.put(b"after");
        writer.flush();
        assert!(taken.lock().unwrap().ends_with(b"after"));
        assert_eq!(writer.take_lost(), 0);
    }
}
