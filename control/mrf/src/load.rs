//! `mrf load`: puts conferences under load and tells what came of it.

use core::net::SocketAddr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail, ensure};
use h248_endpoint::TransportAddr;
use load::idle::{self, Idle, Measured};
use load::process::{Process, cores};
use load::setup::h248::Controller;
use load::setup::{Sessions, Target, forward, relay, sip};
use load::{Plan, Row, Summary};
use mrfp::ReactorKind;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::cli::{LoadArgs, LoadVia};
use crate::logging;
use crate::participant::Target as Conference;
use crate::values::LogFormat;

/// Runs the load; succeeds when everything was delivered once, whole and in order. What contradicts itself is found
/// before anything begins.
#[must_use]
pub fn run(args: &LoadArgs) -> ExitCode {
    let plan = plan(args);
    if let Err(error) = check(args, &plan) {
        eprintln!("mrf: {error:#}");
        return ExitCode::from(EXIT_USAGE);
    }
    match play(args, &plan) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mrf: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Exit code of a command that cannot be carried out as it stands.
const EXIT_USAGE: u8 = 2;

/// # Errors
///
/// Says which flags contradict each other.
fn check(args: &LoadArgs, plan: &Plan) -> anyhow::Result<()> {
    plan.check()?;
    ensure!(
        args.idle == 0 || args.via == LoadVia::H248,
        "--idle needs --via h248"
    );
    ensure!(
        args.idle == 0 || plan.transport == load::Transport::Tcp,
        "--idle needs --transport tcp: silent sessions speak nothing else"
    );
    ensure!(
        args.reactor.0 != ReactorKind::Xdp,
        "--reactor xdp needs a network interface: start the system with it, and name it with --target"
    );
    match args.via {
        LoadVia::H248 => {}
        LoadVia::Sip => {
            if let Some(uri) = &args.target {
                ::sip::Uri::parse(uri).with_context(|| format!("--target {uri}"))?;
            }
        }
        LoadVia::Relay => {
            address(args)?.context("--via relay needs --target ADDRESS:PORT")?;
            relay::check(plan)?;
        }
        LoadVia::Forward => {
            address(args)?.context("--via forward needs --target ADDRESS:PORT")?;
            forward::check(plan)?;
        }
    }
    Ok(())
}

fn play(args: &LoadArgs, plan: &Plan) -> anyhow::Result<bool> {
    let _log =
        logging::start(LogFormat::Text, "warn", 0).map_err(|error| anyhow::anyhow!(error))?;
    // Not after ten minutes of load.
    let json = args.json.as_deref().map(open_json).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let summary = runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let (halt, halted) = oneshot::channel();
        let halted = async {
            // Without a word there is no halt.
            if halted.await.is_err() {
                core::future::pending().await
            }
        };
        // Dropped, either ends all that it has started.
        tokio::select! {
            summary = summary(args, plan, halted) => summary,
            () = signals.twice(halt) => bail!("interrupted"),
        }
    })?;
    summary.print(&mut std::io::stdout().lock())?;
    if let Some(mut out) = json {
        let mut text = serde_json::to_vec_pretty(&summary)?;
        text.push(b'\n');
        out.write_all(&text).context("--json")?;
    }
    Ok(summary.counts.is_clean() && !summary.is_interrupted)
}

async fn summary(
    args: &LoadArgs,
    plan: &Plan,
    halted: impl Future<Output = ()>,
) -> anyhow::Result<Summary> {
    let mut halted = core::pin::pin!(halted);
    let (sessions, kept) = tokio::select! {
        sessions = sessions(args, plan) => sessions?,
        () = &mut halted => bail!("interrupted before any message was sent"),
    };
    Row::print_heading(&mut std::io::stdout())?;
    let print = |row: &Row| {
        // Nobody reads any more: the summary will fail as well.
        let _ = row.print(&mut std::io::stdout());
    };
    let mut summary = load::run_until(halted, plan, sessions, print).await?;
    summary.idle = kept.map(|(_, measured)| measured);
    Ok(summary)
}

/// The signals that end the run.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn heard(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Says `halt` at the first one, returns at the second.
    async fn twice(&mut self, halt: oneshot::Sender<()>) {
        self.heard().await;
        // The run may be over.
        let _ = halt.send(());
        self.heard().await;
    }
}

/// `-` is standard output.
fn open_json(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdout()));
    }
    let file = File::create(path).with_context(|| format!("--json {}", path.display()))?;
    Ok(Box::new(file))
}

fn plan(args: &LoadArgs) -> Plan {
    Plan {
        conferences: args.conferences,
        participants: args.participants,
        senders: args.senders,
        stalled: args.stalled,
        sessions_per_connection: args.sessions_per_connection.get(),
        size: args.size.0,
        rate: args.rate.0,
        duration: args.duration.0,
        warmup: args.warmup.0,
        messages: args.messages,
        churn: args.churn,
        transport: args.transport.into(),
        failure_report: args.failure_report.into(),
        core: generator_core(),
    }
}

/// The last core is the generator's, if there is another.
fn generator_core() -> Option<usize> {
    let cores = cores();
    cores.last().copied().filter(|_| cores.len() > 1)
}

/// The cores of a system started here: all but the generator's.
fn target_cores() -> Vec<usize> {
    let mut cores = cores();
    if cores.len() > 1 {
        cores.pop();
    }
    cores
}

/// Sessions that are silent, and what they cost.
type Kept = (Idle, Measured);

async fn sessions(args: &LoadArgs, plan: &Plan) -> anyhow::Result<(Sessions, Option<Kept>)> {
    let sessions = match args.via {
        LoadVia::H248 => return by_h248(args, plan).await,
        LoadVia::Sip => by_sip(args, plan).await?,
        LoadVia::Relay => {
            let relay = address(args)?.context("no --target")?;
            relay::sessions(relay, watched(args), plan)?
        }
        LoadVia::Forward => {
            let forwarder = address(args)?.context("no --target")?;
            forward::sessions(forwarder, watched(args), plan)?
        }
    };
    Ok((sessions, None))
}

fn watched(args: &LoadArgs) -> Target {
    Target {
        id: args.target_pid,
        process: None,
    }
}

fn address(args: &LoadArgs) -> anyhow::Result<Option<SocketAddr>> {
    let Some(text) = &args.target else {
        return Ok(None);
    };
    let bare = text.strip_prefix("tcp:").unwrap_or(text);
    let addr = bare
        .parse()
        .with_context(|| format!("--target {text}: expected ADDRESS:PORT"))?;
    Ok(Some(addr))
}

/// Without `--target` an own MRFP registers; with one it is spoken to first.
async fn by_h248(args: &LoadArgs, plan: &Plan) -> anyhow::Result<(Sessions, Option<Kept>)> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let (mut controller, mut target) = match (&args.target, args.h248) {
        (None, None) => {
            let controller = Controller::listen(TransportAddr::Tcp(loopback)).await?;
            let mgc = controller.listens_on().to_string();
            let process = own_system(&["mrfp", "--mgc", &mgc], args, Stdio::null())?;
            (controller, Target::from(process))
        }
        (None, Some(listen)) => {
            let controller = Controller::listen(listen.0).await?;
            eprintln!("waiting for an MRFP at {}", controller.listens_on());
            (controller, watched(args))
        }
        (Some(text), listen) => {
            let Ok(TransportAddr::Udp(addr)) = text.parse() else {
                bail!("--target {text}: expected the MRFP's H.248 address, udp:ADDRESS:PORT");
            };
            let any = ::sip::near_addr(addr).map(|near| SocketAddr::new(near.ip(), 0))?;
            let listen = listen.map_or(TransportAddr::Udp(any), |listen| listen.0);
            let mut controller = Controller::listen(listen).await?;
            controller.address(addr);
            (controller, watched(args))
        }
    };
    controller.registered(&mut target).await?;
    let kept = if args.idle > 0 {
        Some(idle::measure(&mut controller, plan, args.idle, target.id).await?)
    } else {
        None
    };
    let sessions = controller.sessions(target, plan).await?;
    Ok((sessions, kept))
}

/// Without `--target` an own system is called.
async fn by_sip(args: &LoadArgs, plan: &Plan) -> anyhow::Result<Sessions> {
    let (uri, target) = match &args.target {
        Some(uri) => (uri.clone(), watched(args)),
        None => {
            let config = Scratch::new(&format!(
                "max-participants = {}\nmax-size = {}\n",
                plan.participants, plan.size
            ))?;
            let command = [
                "run",
                "--config",
                config.0.to_str().context("a name of a file in UTF-8")?,
                "--sip",
                "tcp:127.0.0.1:0",
                "--h248",
                "tcp:127.0.0.1:0",
            ];
            let mut process = own_system(&command, args, Stdio::piped())?;
            let sip = ready(&mut process, "sip.tcp=")?;
            let uri = format!("sip:load@{sip};transport=tcp");
            (uri, Target::from(process))
        }
    };
    let conference = Conference::resolve(&uri, None).await?;
    let parsed = ::sip::Uri::parse(&uri)?;
    let name = parsed.user().unwrap_or("load").to_owned();
    let domain = match parsed.port() {
        Some(port) => format!("{}:{port}", parsed.host()),
        None => parsed.host().to_owned(),
    };
    let called = sip::Called {
        via: conference.via,
        further: conference.further,
        certificate: conference.name,
        authorities: args.tls_ca.clone(),
        scheme: parsed.scheme().to_owned(),
        name,
        domain,
    };
    sip::Callers::sessions(called, target, plan).await
}

/// This program as the system under test, on the other cores.
fn own_system(command: &[&str], args: &LoadArgs, stdout: Stdio) -> anyhow::Result<Process> {
    let cores = target_cores();
    let mut own = Command::new(std::env::current_exe()?);
    let transport = load::Transport::from(args.transport).name();
    own.args(command)
        .args(["--msrp", &format!("{transport}:127.0.0.1:0")])
        .args(["--http", "off"])
        .args(["--reactor", &args.reactor.0.to_string()])
        .args(["--shards", &cores.len().clamp(1, 62).to_string()])
        .args(["--busy-poll-us", &args.busy_poll_us.to_string()])
        .env("RUST_LOG", "warn")
        // An interrupt of the terminal is ours alone: the run ends first.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(stdout);
    Ok(Process::start(own, &cores)?)
}

/// A file that is there until a system has read it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &str) -> anyhow::Result<Self> {
        let name = format!("mrf-load-{}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Not through a link that somebody left there.
        let file = File::create_new(&path);
        let mut file = file.with_context(|| path.display().to_string())?;
        let scratch = Self(path);
        file.write_all(text.as_bytes())?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is of no use to anybody.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The value of a key of the `ready` line.
fn ready(process: &mut Process, key: &str) -> anyhow::Result<String> {
    let stdout = process.stdout().context("the own system's output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    ensure!(line.starts_with("ready "), "the own system did not start");
    let value = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(key));
    Ok(value
        .context("the own system has no SIP over TCP")?
        .to_owned())
}
