//! Log lines on stderr, filtered by `RUST_LOG`, else by the configuration.

mod bound;
mod writer;

use std::io::IsTerminal;
use std::sync::Arc;

use tokio::sync::Notify;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use self::bound::{Bound, BoundLayer};
use self::writer::Writer;
use crate::limits::LOG_REPORT_INTERVAL;
use crate::values::LogFormat;

/// The variable that filters log lines, before any configuration.
const VARIABLE: &str = "RUST_LOG";

/// What a client's user is told: errors, and why nobody can be reached.
pub const OF_CLIENTS: &str = "error,sip::stack::connection=info";

/// The log of this process. When it is dropped, what was logged is written.
#[derive(Debug)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    watch: Watch,
}

/// Tells of lines that were not written.
#[derive(Clone, Debug)]
pub struct Watch {
    bound: Arc<Bound>,
    writer: Writer,
    news: Arc<Notify>,
}

/// Starts the log of this process; `filter` counts where `RUST_LOG` is not set. Of one kind of line,
/// `lines_per_second` are written in the long run (0: all).
///
/// # Errors
///
/// When a filter is malformed, or the process has a log already.
pub fn start(format: LogFormat, filter: &str, lines_per_second: u32) -> Result<Log, String> {
    let (chosen, handle) = reload::Layer::new(chosen(filter)?);
    let news = Arc::new(Notify::new());
    let writer = Writer::start(std::io::stderr(), news.clone())
        .map_err(|error| format!("cannot start the thread of the log: {error}"))?;
    let bound = Arc::new(Bound::new(lines_per_second, news.clone()));
    let lines = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer.clone());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(chosen)
        .with(BoundLayer(bound.clone()))
        .with(lines)
        .try_init()
        .map_err(|error| error.to_string())?;
    Ok(Log {
        filter: handle,
        watch: Watch {
            bound,
            writer,
            news,
        },
    })
}

impl Log {
    /// Puts `filter` in place, unless `RUST_LOG` is set; says which one counts now.
    ///
    /// # Errors
    ///
    /// When it is malformed; the old one stays.
    pub fn apply(&self, filter: &str) -> Result<String, String> {
        let chosen = chosen(filter)?;
        let text = chosen.to_string();
        self.filter.reload(chosen).map_err(|e| e.to_string())?;
        Ok(text)
    }

    /// Something to tell of lines that are not written.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.watch.tell();
        self.watch.writer.flush();
    }
}

impl Watch {
    /// Logs what was left out, once in [`LOG_REPORT_INTERVAL`] at most; never returns.
    pub async fn run(self) {
        loop {
            self.news.notified().await;
            tokio::time::sleep(LOG_REPORT_INTERVAL).await;
            self.tell();
        }
    }

    fn tell(&self) {
        for bound::LeftOut { like, lines } in self.bound.take() {
            tracing::warn!(lines, like, "log lines left out: too many of one kind");
        }
        match self.writer.take_lost() {
            0 => {}
            lines => tracing::warn!(lines, "log lines lost: standard error took nothing"),
        }
    }
}

/// Whether `RUST_LOG` decides, so that the configuration's filter has no effect.
#[must_use]
pub fn is_fixed_by_environment() -> bool {
    std::env::var(VARIABLE).is_ok_and(|value| !value.is_empty())
}

fn chosen(filter: &str) -> Result<EnvFilter, String> {
    let (text, source) = match std::env::var(VARIABLE) {
        Ok(value) if !value.is_empty() => (value, VARIABLE),
        Ok(_) | Err(_) => (filter.to_owned(), "log"),
    };
    EnvFilter::try_new(&text).map_err(|error| format!("{source}: {text:?}: {error}"))
}
