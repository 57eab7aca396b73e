//! Measures this project on its reactors beside its physical limit and its peers, interleaved, and
//! writes a record with tables and pictures.
#![forbid(unsafe_code)]

mod job;
mod micro;
mod plots;
mod record;
mod runner;
mod scenarios;
mod systems;
mod veth;

use std::path::PathBuf;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use perf::command_line;
use perf::cores::Cores;
use perf::machine::{Machine, Steal};

use runner::Runner;
use scenarios::Pace;
use systems::{Inner, Kind, Place};
use veth::Veth;

/// Compares this project with a bare forwarder and with peers; writes perf/record/DATE.md.
#[derive(Debug, Parser)]
#[command(name = "compare", version)]
struct Arguments {
    #[command(subcommand)]
    serve: Option<Inner>,
    /// Reactors of this project and of the forwarder; with xdp all is measured over a veth pair, as root
    #[arg(long, value_enum, value_delimiter = ',', default_value = "uring,mio")]
    reactors: Vec<Kind>,
    /// Peers, installed with apt when they are not there: kamailio
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Only these scenarios [default: all]
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(scenarios::names()))]
    scenarios: Vec<String>,
    /// Times each scenario is run; medians are told, with the least and the most
    #[arg(long, value_name = "N", default_value_t = 7)]
    repetitions: usize,
    /// Times each point of the sweeps behind the pictures is run, but for memory; medians are drawn; 0 leaves the sweeps out
    #[arg(long, value_name = "N", default_value_t = 3)]
    sweep_repetitions: usize,
    /// Octets of the large file [default: 1000000000, quick 10000000]
    #[arg(long, value_name = "OCTETS")]
    file_size: Option<u64>,
    /// Minutes after which nothing further begins; what was left out is in the record
    #[arg(long, value_name = "MINUTES", default_value_t = 14.0)]
    budget: f64,
    /// Over the veth pair: the kernel cuts large sends into segments itself, as AF_XDP has to
    #[arg(long)]
    no_offload: bool,
    /// The same as --sweep-repetitions 0
    #[arg(long)]
    no_sweeps: bool,
    /// Fractions of a second, once: only to see that everything works
    #[arg(long)]
    quick: bool,
    /// Where the record goes
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/record"))]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Peer {
    Kamailio,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(serve) = &arguments.serve {
        return systems::serve(serve);
    }
    let began = reactor::now();
    let mut pace = if arguments.quick {
        Pace::QUICK
    } else {
        Pace::FULL
    };
    pace.file = arguments.file_size.unwrap_or(pace.file);
    let mut failures = Vec::new();
    let mut has_kamailio = arguments.peers.contains(&Peer::Kamailio);
    if has_kamailio && let Err(error) = systems::install_kamailio() {
        has_kamailio = false;
        failures.push(("all", "Kamailio".to_owned(), format!("{error:#}")));
    }
    let veth = if arguments.reactors.contains(&Kind::Xdp) {
        Some(Veth::new(!arguments.no_offload)?)
    } else {
        None
    };
    let before = Steal::now();
    let most = if arguments.quick { 1 } else { usize::MAX };
    let sweep_repetitions = if arguments.no_sweeps {
        0
    } else {
        arguments.sweep_repetitions.min(most)
    };
    let place = Place::choose(veth.as_ref().map(Veth::names));
    let patience = if arguments.quick { 0.0 } else { 0.5 };
    let budget = core::time::Duration::try_from_secs_f64(arguments.budget * 60.0)?;
    let runner = Runner {
        reactors: arguments.reactors,
        has_kamailio,
        only: arguments.scenarios,
        repetitions: arguments.repetitions.clamp(1, most),
        sweep_repetitions,
        pace,
        until: began + budget,
        is_quick: arguments.quick,
        cores: Cores::new(place.pair(), budget.mul_f64(patience)).into(),
        place,
    };
    let mut results = runner.run();
    results.failures.splice(0..0, failures);
    let machine = Machine::look(&before);
    let command = command_line("perf/compare", std::env::args().skip(1));
    let path = record::write(&arguments.out, (&machine, &command), &runner, &results)?;
    println!("{}", path.display());
    Ok(())
}
