//! Deframing beside `memchr::memmem` over the same octets in the same run, and the price of a head.
//!
//! ```text
//! head/*          one SEND with paths, Message-ID, Byte-Range, Content-Type; time per iteration is
//!                 that of FRAMES frames, so elements per second is frames per second
//! body/SIZE/*     streams of chunks of SIZE, once as large as fits a core's caches, once from memory
//! rewrite         head and end-line for one recipient; elements per second is recipients per second
//! reassembly/*    a message in pieces of 2,048 octets, every other one late
//! hostile/*       a body of hyphens, of line ends with hyphens, of the words before the end-line
//! ```

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use memchr::memmem::Finder;
use mrf_benches::frames::{chunk, deframed, reassembled, rewritten, text};

const FRAMES: usize = 1_000;
const END: &[u8] = b"-------d93kswow";
/// Larger than second-level caches, smaller than most last-level caches.
const WARM_BYTES: usize = 4 << 20;
/// Larger than the last-level caches of one socket.
const COLD_BYTES: usize = 64 << 20;

fn head(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    group.throughput(Throughput::Elements(FRAMES as u64));
    for size in [0, 100] {
        let stream = chunk(&text(size)).repeat(FRAMES);
        group.bench_function(BenchmarkId::new("send_with_body_of", size), |bencher| {
            bencher.iter(|| assert_eq!(deframed(&stream), (FRAMES, FRAMES * size)));
        });
    }
    group.finish();
}

fn body(criterion: &mut Criterion) {
    for (place, stream_bytes) in [("cache", WARM_BYTES), ("memory", COLD_BYTES)] {
        for size in [2 << 10, 32 << 10, 1 << 20] {
            let count = stream_bytes / size;
            let stream = chunk(&text(size)).repeat(count);
            let mut group = criterion.benchmark_group(format!("body/{size}/from_{place}"));
            group.throughput(Throughput::Bytes(stream.len() as u64));
            group.bench_function("deframer", |bencher| {
                bencher.iter(|| assert_eq!(deframed(&stream), (count, count * size)));
            });
            let finder = Finder::new(END);
            group.bench_function("memmem", |bencher| {
                bencher.iter(|| assert_eq!(finder.find_iter(&stream).count(), count));
            });
            group.finish();
        }
    }
}

fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hostile");
    for (name, fill) in [
        ("hyphens", &b"-"[..]),
        ("lines", b"\r\n-------"),
        ("almost_ends", b"\r\n-------d93ksw"),
    ] {
        let size = (1 << 20) / fill.len() * fill.len();
        let stream = chunk(&fill.repeat(size / fill.len()));
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(BenchmarkId::new("1_mib_of", name), |bencher| {
            bencher.iter(|| assert_eq!(deframed(&stream), (1, size)));
        });
    }
    group.finish();
}

fn rewrite(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rewrite");
    group.throughput(Throughput::Elements(1));
    let mut out = Vec::new();
    let octets = rewritten(&mut out, 300);
    group.bench_function("one_recipient", |bencher| {
        bencher.iter(|| assert_eq!(rewritten(&mut out, 300), octets));
    });
    group.finish();
}

fn reassembly(criterion: &mut Criterion) {
    const PIECE: usize = 2_048;
    let mut group = criterion.benchmark_group("reassembly");
    for pieces in [1, 16, 60] {
        group.throughput(Throughput::Bytes(pieces * PIECE as u64));
        group.bench_function(BenchmarkId::new("pieces", pieces), |bencher| {
            bencher.iter(|| assert!(reassembled(pieces, PIECE)));
        });
    }
    group.finish();
}

criterion_group!(benches, head, body, rewrite, reassembly, hostile);
criterion_main!(benches);
