//! What is compared: this project on each reactor, the bare forwarder, Kamailio's relay.

use core::fmt;
use core::net::SocketAddr;
use core::num::NonZeroU8;
use core::str::FromStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use h248_endpoint::TransportAddr;
use load::process::Process;
use load::setup::h248::Controller;
use load::setup::{Sessions, Target, forward, relay};
use load::{Plan, Summary};
use mrfp::ReactorKind;
use reactor::{Mailbox, ShardLinks, ShardThreadConfig, bind_listeners, spawn_shard};
use switch::ShardIndex;

/// One contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum System {
    /// This project.
    Mrf(Kind),
    /// Octets in, octets out, on the same reactor.
    Forward(Kind),
    /// Kamailio's msrp module.
    Kamailio,
}

/// A reactor, in an order of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Uring,
    Mio,
}

impl Kind {
    fn reactor(self) -> ReactorKind {
        match self {
            Self::Uring => ReactorKind::Uring,
            Self::Mio => ReactorKind::Mio,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reactor().fmt(f)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "uring" => Ok(Self::Uring),
            "mio" => Ok(Self::Mio),
            _ => Err("expected uring or mio".to_owned()),
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mrf(kind) => write!(f, "mrf {kind}"),
            Self::Forward(kind) => write!(f, "forwarder {kind}"),
            Self::Kamailio => f.write_str("Kamailio"),
        }
    }
}

/// What this program does when it is started by itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Serve {
    /// An MRFP with one shard
    #[command(hide = true)]
    ServeMrfp {
        #[arg(long)]
        reactor: Kind,
        #[arg(long)]
        mgc: TransportAddr,
        #[arg(long, default_value_t = 0)]
        busy_poll_us: u64,
    },
    /// The bare forwarder
    #[command(hide = true)]
    ServeForward {
        #[arg(long)]
        reactor: Kind,
    },
}

/// Serves until it is killed.
pub(crate) fn serve(command: &Serve) -> anyhow::Result<()> {
    match command {
        Serve::ServeMrfp {
            reactor,
            mgc,
            busy_poll_us,
        } => {
            let config = mrfp::Config {
                msrp: vec![any().into()],
                mgcs: vec![*mgc],
                reactor: reactor.reactor(),
                shards: NonZeroU8::new(1),
                busy_poll: core::time::Duration::from_micros(*busy_poll_us),
                ..mrfp::Config::default()
            };
            runtime()?.block_on(async {
                let _mrfp = mrfp::start(config).await?;
                core::future::pending::<anyhow::Result<()>>().await
            })
        }
        Serve::ServeForward { reactor } => {
            let mailbox = Mailbox::new()?;
            let links = ShardLinks::new(std::slice::from_ref(&mailbox));
            let mut config =
                ShardThreadConfig::new(ShardIndex(0), mailbox, links, Box::new(|_| ()));
            config.reactor = reactor.reactor();
            config.listeners = bind_listeners(&[any()], 1)?.remove(0);
            let shard = spawn_shard(config, load::forwarder::Forwarder::default)?;
            writeln!(std::io::stdout(), "{}", shard.local_addrs()[0])?;
            shard.join()?;
            Ok(())
        }
    }
}

/// Where everything runs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Cores of the system under test.
    pub(crate) target: Vec<usize>,
    /// The core of the generator.
    pub(crate) generator: Option<usize>,
}

impl Place {
    /// The first core for the system under test, the last for the generator.
    pub(crate) fn choose() -> Self {
        let cores = load::process::cores();
        match (cores.first(), cores.last()) {
            (Some(first), Some(last)) if first != last => Self {
                target: vec![*first],
                generator: Some(*last),
            },
            _ => Self {
                target: Vec::new(),
                generator: None,
            },
        }
    }
}

/// Starts a system afresh, runs a plan against it, stops it.
pub(crate) fn measure(system: System, plan: &Plan, place: &Place) -> anyhow::Result<Summary> {
    measure_with(system, plan, place, 0)
}

/// The same with busy-polling, which only this project has.
pub(crate) fn measure_with(
    system: System,
    plan: &Plan,
    place: &Place,
    busy_poll_us: u64,
) -> anyhow::Result<Summary> {
    let plan = Plan {
        core: place.generator,
        ..plan.clone()
    };
    runtime()?
        .block_on(async {
            let sessions = match system {
                System::Mrf(kind) => mrf(kind, &plan, place, busy_poll_us).await?,
                System::Forward(kind) => forwarder(kind, &plan, place)?,
                System::Kamailio => kamailio(&plan, place)?,
            };
            load::run(&plan, sessions, |_| ()).await
        })
        .with_context(|| format!("{system}, {plan:?}"))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn again() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.stdin(Stdio::null());
    Ok(command)
}

async fn mrf(
    kind: Kind,
    plan: &Plan,
    place: &Place,
    busy_poll_us: u64,
) -> anyhow::Result<Sessions> {
    let controller = Controller::listen(TransportAddr::Tcp(any())).await?;
    let mut command = again()?;
    command.args([
        "serve-mrfp",
        "--reactor",
        &kind.to_string(),
        "--mgc",
        &controller.listens_on().to_string(),
        "--busy-poll-us",
        &busy_poll_us.to_string(),
    ]);
    let process = Process::start(command, &place.target)?;
    controller.sessions(Target::from(process), plan).await
}

fn forwarder(kind: Kind, plan: &Plan, place: &Place) -> anyhow::Result<Sessions> {
    let mut command = again()?;
    command
        .args(["serve-forward", "--reactor", &kind.to_string()])
        .stdout(Stdio::piped());
    let mut process = Process::start(command, &place.target)?;
    let stdout = process.stdout().context("the forwarder's output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let addr = line.trim().parse().context("the forwarder did not start")?;
    forward::sessions(addr, Target::from(process), plan)
}

const KAMAILIO: &str = include_str!("../../kamailio/kamailio.cfg");

/// Processes of Kamailio that forward. More than one do not help on one core.
const KAMAILIO_WORKERS: &str = "1";

fn kamailio(plan: &Plan, place: &Place) -> anyhow::Result<Sessions> {
    let port = TcpListener::bind(any())?.local_addr()?.port();
    let dir = std::env::temp_dir().join(format!("mrf-compare-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let config = KAMAILIO
        .replace("PORT", &port.to_string())
        .replace("WORKERS", KAMAILIO_WORKERS)
        .replace("MODULES", &kamailio_modules()?)
        .replace("DIR", &dir.to_string_lossy());
    let file = dir.join("kamailio.cfg");
    std::fs::write(&file, config)?;
    let mut command = Command::new("kamailio");
    command
        .arg("-f")
        .arg(&file)
        .args(["-DD", "-E", "-m", "512", "-M", "64", "-Y"])
        .arg(&dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut process = Process::start(command, &place.target)?;
    let relay = SocketAddr::from(([127, 0, 0, 1], port));
    while TcpStream::connect(relay).is_err() {
        ensure!(!process.has_ended(), "Kamailio did not start");
        std::thread::yield_now();
    }
    relay::sessions(relay, Target::from(process), plan)
}

fn kamailio_modules() -> anyhow::Result<String> {
    ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .iter()
        .map(|triple| format!("/usr/lib/{triple}/kamailio/modules/"))
        .find(|path| std::path::Path::new(path).join("msrp.so").exists())
        .context("Kamailio's msrp module is not installed")
}

/// Installs Kamailio if it is not there.
pub(crate) fn install_kamailio() -> anyhow::Result<()> {
    if kamailio_modules().is_ok() {
        return Ok(());
    }
    eprintln!("installing Kamailio with apt");
    let packages = ["kamailio", "kamailio-extra-modules"];
    let commands: [&[&str]; 2] = [
        &["update", "-qq"],
        &[
            "install",
            "-qq",
            "-y",
            "--no-install-recommends",
            packages[0],
            packages[1],
        ],
    ];
    for arguments in commands {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .context("apt-get")?;
        if !status.success() {
            bail!("apt-get {} failed", arguments.join(" "));
        }
    }
    kamailio_modules().map(drop)
}
