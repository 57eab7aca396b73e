//! Log lines on stderr, filtered by `RUST_LOG`, else by the configuration.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::values::LogFormat;

/// The variable that filters log lines, before any configuration.
const VARIABLE: &str = "RUST_LOG";

/// Changes the filter of a log that is already running.
pub struct Reload(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl core::fmt::Debug for Reload {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Reload")
    }
}

/// Starts the log of this process; `filter` counts where `RUST_LOG` is not set.
///
/// # Errors
///
/// When a filter is malformed, or the process has a log already.
pub fn start(format: LogFormat, filter: &str) -> Result<Reload, String> {
    let chosen = chosen(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let (reload, started) = match format {
        LogFormat::Text => {
            let builder = builder.with_env_filter(chosen).with_filter_reloading();
            let handle = builder.reload_handle();
            let reload = move |filter| handle.reload(filter).map_err(|e| e.to_string());
            (Reload(Box::new(reload)), builder.try_init())
        }
        LogFormat::Json => {
            let builder = builder
                .json()
                .with_env_filter(chosen)
                .with_filter_reloading();
            let handle = builder.reload_handle();
            let reload = move |filter| handle.reload(filter).map_err(|e| e.to_string());
            (Reload(Box::new(reload)), builder.try_init())
        }
    };
    started.map_err(|error| error.to_string())?;
    Ok(reload)
}

impl Reload {
    /// Puts `filter` in place, unless `RUST_LOG` is set; says which one counts now.
    ///
    /// # Errors
    ///
    /// When it is malformed; the old one stays.
    pub fn apply(&self, filter: &str) -> Result<String, String> {
        let chosen = chosen(filter)?;
        let text = chosen.to_string();
        (self.0)(chosen)?;
        Ok(text)
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
