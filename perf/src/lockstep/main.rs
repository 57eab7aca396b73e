//! Lockstep fan-out: CPU time of the shards per delivered message, on each reactor, interleaved.
#![forbid(unsafe_code)]

mod conference;

use core::num::{NonZeroU32, NonZeroUsize};
use std::collections::BTreeMap;
use std::io::Write;

use clap::Parser;
use reactor::ReactorKind;

use conference::{Conference, Shape};

/// Measures CPU per delivered message of a conference on one shard or several and prints tables with
/// ratios.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version)]
struct Arguments {
    /// Body octets of a message.
    #[arg(long = "size", value_delimiter = ',', default_value = "100,1024,16384")]
    sizes: Vec<usize>,
    /// Recipients of each message.
    #[arg(long = "recipients", value_delimiter = ',', default_value = "1,10,100")]
    recipients: Vec<NonZeroU32>,
    /// Messages the sender writes at once.
    #[arg(long = "batch", value_delimiter = ',', default_value = "1,16")]
    batches: Vec<NonZeroUsize>,
    /// Deliveries measured per shape and repetition, about.
    #[arg(long, default_value_t = 20_000)]
    deliveries: usize,
    /// Times all shapes run on all reactors; the medians are printed.
    #[arg(long, default_value = "3")]
    repetitions: NonZeroUsize,
    /// Shards of the conference (`--spread-above`), each number with all shapes; their CPU time is added
    /// up, so that two cores suffice whoever else uses them
    #[arg(long = "shards", value_delimiter = ',', default_value = "1",
        value_parser = clap::value_parser!(u8).range(1..=i64::from(switch::limits::SHARDS_MAX)))]
    shards: Vec<u8>,
    /// Every message is answered, by the shard and by each recipient (Failure-Report: yes).
    #[arg(long)]
    answers: bool,
    /// Core of the first shard; the others follow.
    #[arg(long, default_value_t = 0)]
    core: usize,
}

const REACTORS: [ReactorKind; 2] = [ReactorKind::Mio, ReactorKind::Uring];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut measured: BTreeMap<Shape, [Vec<f64>; 2]> = BTreeMap::new();
    for _ in 0..arguments.repetitions.get() {
        for shape in arguments.shapes() {
            let rounds = arguments.deliveries / (shape.batch * shape.recipients as usize);
            for (kind, nanos) in REACTORS.into_iter().zip(measured.entry(shape).or_default()) {
                let mut conference = Conference::start(kind, shape, arguments.core)?;
                conference.rounds(rounds / 10 + 1)?;
                nanos.push(conference.rounds(rounds.max(1))?);
                conference.stop()?;
            }
        }
    }
    let measured = measured.into_iter();
    let measured: BTreeMap<Shape, [f64; 2]> = measured
        .map(|(shape, nanos)| (shape, nanos.map(median)))
        .collect();
    print(&mut std::io::stdout().lock(), measured)?;
    Ok(())
}

impl Arguments {
    /// What is measured, those of different numbers of shards beside each other.
    fn shapes(&self) -> Vec<Shape> {
        let mut shapes = Vec::new();
        for &size in &self.sizes {
            for &recipients in &self.recipients {
                for &batch in &self.batches {
                    shapes.extend(self.shards.iter().map(|&shards| Shape {
                        size,
                        recipients: recipients.get(),
                        batch: batch.get(),
                        shards,
                        answers: self.answers,
                    }));
                }
            }
        }
        shapes
    }
}

fn print(out: &mut impl Write, measured: BTreeMap<Shape, [f64; 2]>) -> std::io::Result<()> {
    writeln!(
        out,
        "CPU of all shards per delivered message, ns, medians.\n"
    )?;
    writeln!(
        out,
        "| octets | recipients | batch | shards | mio | uring | mio / uring | mio / one shard | uring / one shard |"
    )?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    let (mut product, mut count) = (1.0, 0);
    for (shape, [mio, uring]) in &measured {
        product *= mio / uring;
        count += 1;
        let alone = measured.get(&Shape {
            shards: 1,
            ..*shape
        });
        let to_alone = |at: usize, nanos: f64| match alone {
            Some(alone) if shape.shards > 1 => format!("{:.2}", nanos / alone[at]),
            Some(_) | None => String::new(),
        };
        let Shape {
            size,
            recipients,
            batch,
            shards,
            answers: _,
        } = shape;
        writeln!(
            out,
            "| {size} | {recipients} | {batch} | {shards} | {mio:.0} | {uring:.0} | {:.2} | {} | {} |",
            mio / uring,
            to_alone(0, *mio),
            to_alone(1, *uring)
        )?;
    }
    let mean = f64::powf(product, 1.0 / f64::from(count));
    writeln!(out, "\nGeometric mean of mio / uring: {mean:.2}.")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
