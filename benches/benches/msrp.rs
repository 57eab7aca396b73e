//! Deframing beside `memchr::memmem` over the same octets in the same run, and the price of a head.
//!
//! ```text
//! head/*          one SEND with paths, Message-ID, Byte-Range, Content-Type; time per iteration is
//!                 that of FRAMES frames, so elements per second is frames per second
//! body/SIZE/*     streams of chunks of SIZE, once as large as fits a core's caches, once from memory
//! hostile/*       a body of hyphens, of line ends with hyphens, of the words before the end-line
//! ```

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use memchr::memmem::Finder;
use msrp::{Deframer, Item};

const FRAMES: usize = 1_000;
const END: &[u8] = b"-------d93kswow";
/// Larger than second-level caches, smaller than most last-level caches.
const WARM_BYTES: usize = 4 << 20;
/// Larger than the last-level caches of one socket.
const COLD_BYTES: usize = 64 << 20;

fn chunk(body: &[u8]) -> Vec<u8> {
    let mut text = b"MSRP d93kswow SEND\r\n\
        To-Path: msrp://192.0.2.1:2855/0aGm2s9fk3QwErTyUiOp;tcp\r\n\
        From-Path: msrp://198.51.100.7:7654/jshA7weztasB81mPq0Zy;tcp\r\n\
        Message-ID: 12339sdqwer\r\n"
        .to_vec();
    let range = format!(
        "Byte-Range: 1-{0}/{0}\r\nContent-Type: text/plain\r\n\r\n",
        body.len()
    );
    text.extend_from_slice(range.as_bytes());
    text.extend_from_slice(body);
    text.extend_from_slice(b"\r\n-------d93kswow$\r\n");
    text
}

/// Text with blanks, hyphens and line feeds, the same every time.
fn text(bytes: usize) -> Vec<u8> {
    const LETTERS: &[u8; 51] = b"abcdefghijklmnopqrstuvwxyz ETAOIN.,-\n0123456789kswd";
    (0..bytes as u64)
        .map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40)
        .map(|random| LETTERS[usize::try_from(random % 51).expect("small")])
        .collect()
}

/// Frames and body octets in a stream of whole frames.
fn deframed(octets: &[u8]) -> (usize, usize) {
    let mut deframer = Deframer::default();
    let (mut at, mut ends, mut body) = (0, 0, 0);
    loop {
        let step = deframer.next(&octets[at..]).expect("good chunks");
        at += step.consumed;
        match step.item {
            Some(Item::End(_)) => ends += 1,
            Some(Item::Body(msrp::Body::Input(range))) => body += range.len(),
            Some(Item::Body(msrp::Body::Held(octets))) => body += octets.len(),
            Some(Item::Head(head)) => assert_eq!(head.fault, None),
            None => return (ends, body),
        }
    }
}

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

criterion_group!(benches, head, body, hostile);
criterion_main!(benches);
