//! `mrf run`, `mrf mrfp` and `mrf mrfc`: start the parts, say `ready`, obey signals, take leave.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use mrfc::Mrfc;
use mrfp::Mrfp;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Asked;
use crate::config::{self, Options};
use crate::limits::REGISTER_WITHIN;
use crate::live::Live;
use crate::logging::{self, Log};
use crate::ready::{Facts, next_steps};
use crate::settings::{self, Common};
use crate::{consistency, http, secrets, start_fault};

/// Which parts a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Both.
    Run,
    /// The media plane.
    Mrfp,
    /// The controller.
    Mrfc,
}

/// Runs a server until a signal ends it.
///
/// # Errors
///
/// When it cannot start, or a second signal cut its leave-taking short.
pub fn serve(kind: Kind, asked: Asked) -> anyhow::Result<()> {
    let options = match &asked.config {
        Some(path) => {
            // The text has the cause already.
            let file = config::read(path).map_err(|error| anyhow!("{error}"))?;
            asked.options.clone().or(file)
        }
        None => asked.options.clone(),
    };
    consistency::check(&options)?;
    let common = Common::new(&options);
    let log = logging::start(common.log_format, &common.log, common.log_rate);
    let log = log.map_err(|error| anyhow!(error))?;
    let server = Server {
        kind,
        options,
        common,
        config: asked.config,
        log,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(server.run())
}

struct Server {
    kind: Kind,
    options: Options,
    common: Common,
    config: Option<PathBuf>,
    log: Log,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

enum Heard {
    Leave,
    Reload,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Cancel-safe.
    async fn heard(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Leave,
            _ = self.interrupt.recv() => Heard::Leave,
            _ = self.hang_up.recv() => Heard::Reload,
        }
    }

    /// A SIGHUP meanwhile counts for nothing.
    async fn leave(&mut self) {
        while let Heard::Reload = self.heard().await {}
    }
}

impl Server {
    async fn run(self) -> anyhow::Result<()> {
        descriptors();
        tokio::spawn(self.log.watch().run());
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let http = self.bind_http().await?;
        let started = tokio::select! {
            started = self.start() => started?,
            () = signals.leave() => return Ok(()),
        };
        let (mrfc, mrfp) = started;
        let tls = mrfp.as_ref().and_then(Mrfp::tls).cloned();
        let sip_tls = mrfc.as_ref().and_then(Mrfc::tls).cloned();
        let http_addr = http.as_ref().and_then(|l| l.local_addr().ok());
        let facts = Facts::new(mrfc.as_ref(), mrfp.as_ref(), http_addr);
        let has_controller = self.kind == Kind::Run || !self.options.mgc.is_empty();
        let live = Arc::new(Live::new(mrfc, mrfp, has_controller, facts.to_string()));
        if let (Some(listener), Some(local)) = (http, http_addr) {
            let access = http::Access::new(self.common.http_token.clone(), local);
            tokio::spawn(http::serve(listener, live.clone(), access));
        }
        self.announce(&facts)?;
        while let Heard::Reload = signals.heard().await {
            self.reload_log();
            if let Some(Err(error)) = tls.as_ref().map(mrfp::Tls::reload) {
                tracing::error!(%error, "SIGHUP: the TLS certificate stays as it is");
            }
            match sip_tls.as_ref().map(sip::Tls::reload) {
                Some(Ok(())) => tracing::info!("TLS certificate of SIP reloaded"),
                Some(Err(error)) => {
                    tracing::error!(%error, "SIGHUP: the TLS certificate of SIP stays as it is");
                }
                None => {}
            }
        }
        self.leave(&live, &mut signals).await
    }

    async fn bind_http(&self) -> anyhow::Result<Option<TcpListener>> {
        let Some(addr) = self.common.http else {
            return Ok(None);
        };
        match TcpListener::bind(addr).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => Err(start_fault::listen("--http", &addr.to_string(), &error)),
        }
    }

    async fn start(&self) -> anyhow::Result<(Option<Mrfc>, Option<Mrfp>)> {
        match self.kind {
            Kind::Mrfp => {
                let mrfp = start_fault::start_mrfp(settings::mrfp(&self.options)).await?;
                Ok((None, Some(mrfp)))
            }
            Kind::Mrfc => {
                let mrfc = start_fault::start_mrfc(self.mrfc(false)?).await?;
                Ok((Some(mrfc), None))
            }
            Kind::Run => {
                let mrfc = start_fault::start_mrfc(self.mrfc(true)?).await?;
                let Some(&mgc) = mrfc.h248_addrs().first() else {
                    bail!("--h248: the MRFC needs a listener for its MRFP");
                };
                let config = settings::mrfp_beside(&self.options, mgc);
                let mrfp = start_fault::start_mrfp(config).await?;
                registered(mrfc, mrfp).await
            }
        }
    }

    fn mrfc(&self, create_on_join: bool) -> anyhow::Result<mrfc::Config> {
        let secrets = secrets::read(&self.options)?;
        let mut config = settings::mrfc(&self.options, create_on_join);
        (config.users, config.credentials) = (secrets.users, secrets.credentials);
        Ok(config)
    }

    fn announce(&self, facts: &Facts) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        // A closed pipe must not end a server that nobody watches.
        let _ = writeln!(stdout, "ready {facts}").and_then(|()| stdout.flush());
        let has_focus = self.kind != Kind::Mrfp;
        if has_focus && std::io::stderr().is_terminal() {
            std::io::stderr().write_all(next_steps(facts).as_bytes())?;
        }
        Ok(())
    }

    /// SIGHUP: of the settings only the log filter can change while running.
    fn reload_log(&self) {
        let filter = match self.config.as_deref().map(config::read) {
            None => self.common.log.clone(),
            Some(Ok(options)) => Common::new(&options).log,
            Some(Err(error)) => {
                tracing::error!(%error, "SIGHUP: nothing changed");
                return;
            }
        };
        match self.log.apply(&filter) {
            Err(error) => tracing::error!(error, "SIGHUP: nothing changed"),
            Ok(filter) if logging::is_fixed_by_environment() => {
                tracing::info!(
                    filter,
                    "SIGHUP: RUST_LOG decides about the log; nothing changed"
                );
            }
            Ok(filter) => tracing::info!(
                filter,
                "SIGHUP: log filter reloaded; of the other settings only certificates are read again"
            ),
        }
    }

    async fn leave(&self, live: &Live, signals: &mut Signals) -> anyhow::Result<()> {
        let drain = self.common.drain;
        tracing::info!(?drain, "taking leave; a second signal stops at once");
        // Who is left then is told that we go, for which there must be time.
        let farewell = (drain / 4).min(FAREWELL_MAX);
        tokio::select! {
            () = live.shutdown(drain - farewell) => tracing::info!("everyone has left"),
            () = tokio::time::sleep(drain) => tracing::warn!("not everyone had left in time"),
            () = signals.leave() => bail!("stopped before everyone had left"),
        }
        Ok(())
    }
}

/// Takes as many file descriptors as the system allows: each connection is one, and the soft limit of a
/// shell is often 1,024.
fn descriptors() {
    let limit = load::process::raise_descriptor_limit();
    tracing::info!(limit, "file descriptors that this process may have");
}

/// The part of the time to drain that is kept for the last words.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// Waits until both sides know of the registration.
async fn registered(
    mut mrfc: Mrfc,
    mut mrfp: Mrfp,
) -> anyhow::Result<(Option<Mrfc>, Option<Mrfp>)> {
    let both = async {
        mrfp.registered().await;
        mrfc.mrfp_registered().await;
    };
    tokio::time::timeout(REGISTER_WITHIN, both)
        .await
        .map_err(|_| anyhow!("the MRFP could not register with the MRFC over loopback"))?;
    Ok((Some(mrfc), Some(mrfp)))
}
