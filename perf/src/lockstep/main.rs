//! Lockstep fan-out: CPU time of a shard per delivered message, on each reactor, interleaved.
#![forbid(unsafe_code)]

mod conference;

use std::collections::BTreeMap;
use std::io::Write;

use clap::Parser;
use reactor::ReactorKind;

use conference::{Conference, Shape};

/// Measures CPU per delivered message of one shard and prints a table with ratios.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version)]
struct Arguments {
    /// Body octets of a message.
    #[arg(long = "size", value_delimiter = ',', default_value = "100,1024,16384")]
    sizes: Vec<usize>,
    /// Recipients of each message.
    #[arg(long = "recipients", value_delimiter = ',', default_value = "1,10,100")]
    recipients: Vec<u32>,
    /// Messages the sender writes at once.
    #[arg(long = "batch", value_delimiter = ',', default_value = "1,16")]
    batches: Vec<usize>,
    /// Deliveries measured per shape and repetition, about.
    #[arg(long, default_value_t = 20_000)]
    deliveries: usize,
    /// Times all shapes run on all reactors; the medians are printed.
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// Core of the shard.
    #[arg(long, default_value_t = 0)]
    core: usize,
}

const REACTORS: [ReactorKind; 2] = [ReactorKind::Mio, ReactorKind::Uring];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut measured: BTreeMap<Shape, [Vec<f64>; 2]> = BTreeMap::new();
    for _ in 0..arguments.repetitions {
        for &size in &arguments.sizes {
            for &recipients in &arguments.recipients {
                for &batch in &arguments.batches {
                    let shape = Shape {
                        size,
                        recipients,
                        batch,
                    };
                    let rounds = arguments.deliveries / (batch * recipients as usize);
                    for (kind, nanos) in
                        REACTORS.into_iter().zip(measured.entry(shape).or_default())
                    {
                        let mut conference = Conference::start(kind, shape, arguments.core)?;
                        conference.rounds(rounds / 10 + 1)?;
                        nanos.push(conference.rounds(rounds.max(1))?);
                        conference.stop()?;
                    }
                }
            }
        }
    }
    print(&mut std::io::stdout().lock(), measured)?;
    Ok(())
}

fn print(out: &mut impl Write, measured: BTreeMap<Shape, [Vec<f64>; 2]>) -> std::io::Result<()> {
    writeln!(
        out,
        "CPU of the shard per delivered message, ns, medians.\n"
    )?;
    writeln!(
        out,
        "| octets | recipients | batch | mio | uring | mio / uring |"
    )?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|")?;
    let (mut product, mut count) = (1.0, 0);
    for (shape, [mio, uring]) in measured {
        let (mio, uring) = (median(mio), median(uring));
        product *= mio / uring;
        count += 1;
        let Shape {
            size,
            recipients,
            batch,
        } = shape;
        writeln!(
            out,
            "| {size} | {recipients} | {batch} | {mio:.0} | {uring:.0} | {:.2} |",
            mio / uring
        )?;
    }
    let mean = f64::powf(product, 1.0 / f64::from(count));
    writeln!(out, "\nGeometric mean of mio / uring: {mean:.2}.")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
