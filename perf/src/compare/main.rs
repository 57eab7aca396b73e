//! Measures this project on both reactors beside its physical limit and its peers, interleaved, and
//! writes a record with tables and pictures.
#![forbid(unsafe_code)]

mod machine;
mod micro;
mod plots;
mod record;
mod runner;
mod scenarios;
mod systems;

use std::path::PathBuf;

use clap::Parser;

use runner::Runner;
use scenarios::Pace;
use systems::{Kind, Place, Serve};

/// Compares this project with a bare forwarder and with peers; writes perf/record/DATE.md.
#[derive(Debug, Parser)]
#[command(name = "compare", version)]
struct Arguments {
    #[command(subcommand)]
    serve: Option<Serve>,
    /// Reactors of this project and of the forwarder
    #[arg(long, value_delimiter = ',', default_value = "uring,mio")]
    reactors: Vec<Kind>,
    /// Peers, installed with apt when they are not there: kamailio
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Only these scenarios (see the record for their names) [default: all]
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Times everything is run; medians are told
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// Leave the sweeps behind the pictures out
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
    let has_kamailio = arguments.peers.contains(&Peer::Kamailio);
    if has_kamailio {
        systems::install_kamailio()?;
    }
    let before = machine::Steal::now();
    let runner = Runner {
        reactors: arguments.reactors,
        has_kamailio,
        only: arguments.scenarios,
        repetitions: if arguments.quick {
            1
        } else {
            arguments.repetitions.max(1)
        },
        pace: if arguments.quick {
            Pace::QUICK
        } else {
            Pace::FULL
        },
        has_sweeps: !arguments.no_sweeps,
        is_quick: arguments.quick,
        place: Place::choose(),
    };
    let results = runner.run()?;
    let machine = machine::Machine::look(&before);
    let path = record::write(&arguments.out, &machine, &runner, &results)?;
    println!("{}", path.display());
    Ok(())
}
