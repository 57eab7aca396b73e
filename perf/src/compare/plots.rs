//! Pictures, as SVG.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::anyhow;
use perf::spread;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::runner::{RECIPIENTS, Results, SIZES};
use crate::scenarios::{ALL_READ, PAIR_PACED};
use crate::systems::System;

/// A line with its name.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// What stands beside the lines.
struct Frame<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
}

const WIDTH: u32 = 800;
const HEIGHT: u32 = 500;

/// Draws what there are results for; returns the names of the pictures.
pub(crate) fn draw(folder: &Path, results: &Results) -> anyhow::Result<Vec<&'static str>> {
    let mut names = Vec::new();
    if !results.throughput.is_empty() {
        draw_throughput(folder, results)?;
        names.extend(["throughput-fan-out", "throughput-size"]);
    }
    if !results.latency.is_empty() {
        draw_load(folder, results)?;
        names.push("latency-load");
    }
    if draw_percentiles(folder, results)? {
        names.push("latency-percentiles");
    }
    if !results.memory.is_empty() {
        draw_memory(folder, results)?;
        names.push("memory-sessions");
    }
    Ok(names)
}

fn draw_throughput(folder: &Path, results: &Results) -> anyhow::Result<()> {
    let cells = results.throughput.values();
    let systems: BTreeSet<System> = cells.flat_map(|cell| cell.keys().copied()).collect();
    let mut by_fan_out = Vec::new();
    let mut by_size = Vec::new();
    for system in systems {
        let points = |is_in: &dyn Fn(u64, u32) -> bool, x: &dyn Fn(u64, u32) -> f64| {
            let cells = results.throughput.iter();
            let points = cells.filter(|((size, fan), _)| is_in(*size, *fan));
            points
                .filter_map(|((size, fan), cell)| {
                    let rates = cell
                        .get(&system)?
                        .iter()
                        .map(|run| run.delivered_per_second);
                    Some((x(*size, *fan), spread(rates)?.median))
                })
                .collect::<Vec<_>>()
        };
        for size in SIZES {
            by_fan_out.push(Line {
                name: format!("{system}, {size} octets"),
                points: points(&|one, _| one == size, &|_, fan| f64::from(fan)),
            });
        }
        for fan_out in RECIPIENTS {
            by_size.push(Line {
                name: format!("{system}, to {fan_out}"),
                points: points(&|_, one| one == fan_out, &|size, _| size as f64),
            });
        }
    }
    let y = "deliveries per second";
    let (x, title) = ("recipients", "Throughput over fan-out, saturated");
    log_log(
        folder,
        "throughput-fan-out",
        &Frame { title, x, y },
        by_fan_out,
    )?;
    let (x, title) = ("octets of a message", "Throughput over size, saturated");
    log_log(folder, "throughput-size", &Frame { title, x, y }, by_size)
}

fn draw_load(folder: &Path, results: &Results) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for (system, points) in &results.latency {
        let line = |name: &str, of: fn(&load::Summary) -> f64| Line {
            name: format!("{name}, {system}"),
            points: points
                .iter()
                .filter_map(|(rate, runs)| {
                    Some((f64::from(*rate), spread(runs.iter().map(of))?.median))
                })
                .collect(),
        };
        lines.push(line("p50", |run| run.latency.p50_us));
        lines.push(line("p99", |run| run.latency.p99_us));
    }
    let frame = Frame {
        title: "Latency over load: 1 to 10, 1 KiB, from the intended time of sending",
        x: "messages per second",
        y: "microseconds",
    };
    log_log(folder, "latency-load", &frame, lines)
}

/// The distribution of the paced scenario; `false` if it was not run.
fn draw_percentiles(folder: &Path, results: &Results) -> anyhow::Result<bool> {
    let lines: Vec<Line> = results
        .runs
        .iter()
        .filter(|((name, _), _)| [PAIR_PACED, ALL_READ].contains(name))
        .filter_map(|((name, system), runs)| {
            // The run in the middle: a curve of medians would be nobody's.
            let mut runs: Vec<_> = runs.iter().flatten().map(|run| &run.summary).collect();
            runs.sort_by(|a, b| a.latency.p99_us.total_cmp(&b.latency.p99_us));
            let run = runs.get(runs.len() / 2)?;
            Some(Line {
                name: format!("{name}, {system}"),
                points: run
                    .curve
                    .iter()
                    .filter(|(share, _)| *share < 1.0)
                    .map(|(share, us)| (1.0 / (1.0 - share), us.max(1.0)))
                    .collect(),
            })
        })
        .collect();
    let frame = Frame {
        title: "Latency percentiles, from the intended time of sending",
        x: "one delivery of so many is slower (10: p90, 100: p99, 1000: p99.9)",
        y: "microseconds",
    };
    if lines.is_empty() {
        return Ok(false);
    }
    log_log(folder, "latency-percentiles", &frame, lines)?;
    Ok(true)
}

fn draw_memory(folder: &Path, results: &Results) -> anyhow::Result<()> {
    let lines: Vec<Line> = results
        .memory
        .iter()
        .map(|(kind, points)| Line {
            name: format!("mrf {kind}"),
            points: points
                .iter()
                .map(|point| (f64::from(point.sessions), point.octets as f64 / 1e6))
                .collect(),
        })
        .collect();
    let (xs, ys) = (most(&lines, |point| point.0), most(&lines, |point| point.1));
    let frame = Frame {
        title: "Resident memory over idle sessions",
        x: "sessions",
        y: "MB",
    };
    chart(
        folder,
        "memory-sessions",
        &frame,
        &lines,
        (0.0..xs, 0.0..ys),
    )
}

/// What is not above 0, as where nothing was delivered, has no place in it.
fn log_log(
    folder: &Path,
    name: &str,
    frame: &Frame<'_>,
    mut lines: Vec<Line>,
) -> anyhow::Result<()> {
    for line in &mut lines {
        line.points.retain(|(x, y)| *x > 0.0 && *y > 0.0);
    }
    lines.retain(|line| !line.points.is_empty());
    let range = |of: fn(&(f64, f64)) -> f64| {
        let values = lines.iter().flat_map(|line| &line.points).map(of);
        let most = most(&lines, of);
        let least = values.fold(most, f64::min).max(1e-3);
        (least * 0.8..most).log_scale()
    };
    let (xs, ys) = (range(|point| point.0), range(|point| point.1));
    chart(folder, name, frame, &lines, (xs, ys))
}

fn most(lines: &[Line], of: fn(&(f64, f64)) -> f64) -> f64 {
    let values = lines.iter().flat_map(|line| &line.points).map(of);
    values.fold(1.0, f64::max) * 1.25
}

fn chart<X, Y>(
    folder: &Path,
    name: &str,
    frame: &Frame<'_>,
    lines: &[Line],
    (xs, ys): (X, Y),
) -> anyhow::Result<()>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let path = folder.join(format!("{name}.svg"));
    let draw = || -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::new(&path, (WIDTH, HEIGHT)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(frame.title, ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(xs, ys)?;
        chart
            .configure_mesh()
            .x_desc(frame.x)
            .y_desc(frame.y)
            .x_label_formatter(&|value| short(*value))
            .y_label_formatter(&|value| short(*value))
            .draw()?;
        for (index, line) in lines.iter().enumerate() {
            let color = Palette99::pick(index).stroke_width(2);
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), color).point_size(2))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.7))
            .label_font(("sans-serif", 11))
            .draw()?;
        area.present()?;
        Ok(())
    };
    draw().map_err(|error| anyhow!("{}: {error}", path.display()))
}

fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e3 => format!("{:.0}k", v / 1e3),
        v => format!("{v:.0}"),
    }
}
