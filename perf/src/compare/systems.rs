//! What is compared: this project on each reactor, the bare forwarder, Kamailio's relay.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use core::num::NonZeroU8;
use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use h248_endpoint::TransportAddr;
use load::Plan;
use load::process::Process;
use load::setup::h248::Controller;
use load::setup::{Sessions, Target, forward, relay};
use mrfp::ReactorKind;
use reactor::{Mailbox, ShardLinks, ShardThreadConfig, bind_listeners, spawn_shard};
use serde::{Deserialize, Serialize};
use switch::ShardIndex;

use crate::job::{self, Job};
use crate::veth::{self, Names};

/// One contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum System {
    /// This project as it comes: it sleeps when nothing is to be done.
    Mrf(Kind),
    /// The same, polling before it sleeps as long as that pays.
    Adaptive(Kind),
    /// The same, polling for a fixed time: for latency, at the price of its core.
    Polling(Kind),
    /// Octets in, octets out, on the same reactor.
    Forward(Kind),
    /// Kamailio's msrp module.
    Kamailio,
}

impl System {
    /// The other ways in which this project can wait for something to do.
    pub(crate) fn other_waits(kind: Kind) -> [Self; 2] {
        [Self::Adaptive(kind), Self::Polling(kind)]
    }
}

/// How long [`System::Polling`] polls, microseconds: twice the time between two messages of the paced
/// scenario, so that the next one is waited for.
pub(crate) const POLLING_US: u64 = 200;

/// What `--busy-poll-us` is for [`System::Adaptive`].
const ADAPTIVE: &str = "auto";

/// And for [`System::Mrf`].
const SLEEPING: &str = "0";

/// A reactor, in an order of its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
pub(crate) enum Kind {
    Uring,
    Mio,
    /// Over a veth pair, as are all others then; needs root
    Xdp,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Mio => "mio",
            Self::Xdp => "xdp",
        }
    }

    fn reactor(self) -> ReactorKind {
        match self {
            Self::Uring => ReactorKind::Uring,
            Self::Mio => ReactorKind::Mio,
            Self::Xdp => ReactorKind::Xdp,
        }
    }

    /// Whether the bare forwarder runs on it: it listens on sockets of the system.
    pub(crate) fn has_forwarder(self) -> bool {
        self != Self::Xdp
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mrf(kind) => write!(f, "mrf {kind}"),
            Self::Adaptive(kind) => write!(f, "mrf {kind}, polling while it pays"),
            Self::Polling(kind) => write!(f, "mrf {kind}, polling {POLLING_US} us"),
            Self::Forward(kind) => write!(f, "forwarder {kind}"),
            Self::Kamailio => f.write_str("Kamailio"),
        }
    }
}

/// What this program does when it is started by itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Inner {
    /// An MRFP with one shard
    #[command(hide = true)]
    ServeMrfp {
        #[arg(long)]
        reactor: Kind,
        #[arg(long)]
        mgc: TransportAddr,
        #[arg(long)]
        listener: mrfp::Listener,
        #[arg(long, value_parser = busy_poll)]
        busy_poll_us: mrfp::BusyPoll,
        #[arg(long)]
        xdp_if: Option<String>,
    },
    /// The bare forwarder
    #[command(hide = true)]
    ServeForward {
        #[arg(long)]
        reactor: Kind,
        #[arg(long)]
        listener: SocketAddr,
    },
    /// One run, told in JSON
    #[command(hide = true)]
    RunOne,
}

/// Microseconds, or [`ADAPTIVE`].
fn busy_poll(text: &str) -> Result<mrfp::BusyPoll, core::num::ParseIntError> {
    Ok(match text {
        ADAPTIVE => mrfp::BusyPoll::adaptive(),
        micros => Duration::from_micros(micros.parse()?).into(),
    })
}

/// Serves until it is killed.
pub(crate) fn serve(command: &Inner) -> anyhow::Result<()> {
    match command {
        Inner::ServeMrfp {
            reactor,
            mgc,
            listener,
            busy_poll_us,
            xdp_if,
        } => {
            let config = mrfp::Config {
                msrp: vec![*listener],
                mgcs: vec![*mgc],
                reactor: reactor.reactor(),
                xdp_interface: xdp_if.clone(),
                shards: NonZeroU8::new(1),
                busy_poll: *busy_poll_us,
                ..mrfp::Config::default()
            };
            runtime()?.block_on(async {
                let _mrfp = mrfp::start(config).await?;
                core::future::pending::<anyhow::Result<()>>().await
            })
        }
        Inner::ServeForward { reactor, listener } => {
            let mailbox = Mailbox::new()?;
            let links = ShardLinks::new(std::slice::from_ref(&mailbox));
            let mut config =
                ShardThreadConfig::new(ShardIndex(0), mailbox, links, Box::new(|_| ()));
            config.reactor = reactor.reactor();
            config.listeners = bind_listeners(&[*listener], 1)?.remove(0);
            let shard = spawn_shard(config, load::forwarder::Forwarder::default)?;
            writeln!(std::io::stdout(), "{}", shard.local_addrs()[0])?;
            shard.join()?;
            Ok(())
        }
        Inner::RunOne => job::run_one(),
    }
}

/// Where everything runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Cores of the system under test.
    pub(crate) target: Vec<usize>,
    /// The core of the generator.
    pub(crate) generator: Option<usize>,
    /// The namespaces between which all is measured; without them it is loopback.
    pub(crate) veth: Option<Names>,
}

impl Place {
    /// The cores that exchange most, if there are two.
    pub(crate) fn pair(&self) -> Option<(usize, usize)> {
        self.target.first().copied().zip(self.generator)
    }

    /// The first core for the system under test, the last for the generator.
    pub(crate) fn choose(veth: Option<Names>) -> Self {
        let cores = load::process::cores();
        match (cores.first(), cores.last()) {
            (Some(first), Some(last)) if first != last => Self {
                target: vec![*first],
                generator: Some(*last),
                veth,
            },
            _ => Self {
                target: Vec::new(),
                generator: None,
                veth,
            },
        }
    }
}

/// Starts a system afresh, makes the sessions of a plan; the sessions end it.
pub(crate) async fn begin(job: &Job) -> anyhow::Result<Sessions> {
    let (plan, place) = (&job.plan, &job.place);
    match job.system {
        System::Mrf(kind) => mrf(kind, plan, place, SLEEPING).await,
        System::Adaptive(kind) => mrf(kind, plan, place, ADAPTIVE).await,
        System::Polling(kind) => mrf(kind, plan, place, &POLLING_US.to_string()).await,
        System::Forward(kind) => forwarder(kind, plan, place),
        System::Kamailio => kamailio(plan, place).await,
    }
}

pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

impl Place {
    /// Where the system under test listens.
    fn far(&self) -> SocketAddr {
        match self.veth {
            Some(_) => SocketAddr::from((veth::HOST, 0)),
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    /// Where this side listens.
    fn near(&self) -> SocketAddr {
        match self.veth {
            Some(_) => SocketAddr::from((veth::GUEST, 0)),
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    /// This program once more, as the system under test.
    fn again_there(&self) -> anyhow::Result<Command> {
        again(self.veth.as_ref().map(|names| &*names.host))
    }

    /// This program once more, as the generator.
    pub(crate) fn again_here(&self) -> anyhow::Result<Command> {
        again(self.veth.as_ref().map(|names| &*names.guest))
    }
}

fn again(namespace: Option<&str>) -> anyhow::Result<Command> {
    let program = std::env::current_exe()?;
    let mut command = match namespace {
        Some(name) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", name]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.stdin(Stdio::null());
    Ok(command)
}

async fn mrf(
    kind: Kind,
    plan: &Plan,
    place: &Place,
    busy_poll_us: &str,
) -> anyhow::Result<Sessions> {
    let controller = Controller::listen(TransportAddr::Tcp(place.near())).await?;
    let mgc = controller.listens_on().to_string();
    let listener = format!("{}:{}", plan.transport.name(), place.far());
    let mut command = place.again_there()?;
    command
        .args(["serve-mrfp", "--reactor", kind.name(), "--mgc", &mgc])
        .args(["--listener", &listener])
        .args(["--busy-poll-us", busy_poll_us])
        .stdout(Stdio::null());
    if kind == Kind::Xdp {
        command.args(["--xdp-if", veth::HOST_LINK]);
    }
    let process = Process::start(command, &place.target)?;
    controller.sessions(Target::from(process), plan).await
}

fn forwarder(kind: Kind, plan: &Plan, place: &Place) -> anyhow::Result<Sessions> {
    let mut command = place.again_there()?;
    command
        .args(["serve-forward", "--reactor", kind.name()])
        .args(["--listener", &place.far().to_string()])
        .stdout(Stdio::piped());
    let mut process = Process::start(command, &place.target)?;
    let stdout = process.stdout().context("the forwarder's output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let addr = line.trim().parse().context("the forwarder did not start")?;
    forward::sessions(addr, Target::from(process), plan)
}

/// How often to look whether a system listens.
const LOOK: Duration = Duration::from_millis(5);

const KAMAILIO: &str = include_str!("../../kamailio/kamailio.cfg");

/// Processes of Kamailio that forward. More than one do not help on one core.
const KAMAILIO_WORKERS: &str = "1";

async fn kamailio(plan: &Plan, place: &Place) -> anyhow::Result<Sessions> {
    ensure!(place.veth.is_none(), "Kamailio is compared over loopback");
    let port = TcpListener::bind(place.near())?.local_addr()?.port();
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
        tokio::time::sleep(LOOK).await;
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
