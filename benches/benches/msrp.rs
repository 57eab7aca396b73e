//! Deframing: 1,000 chunks of several sizes, and a large body full of hyphens and line ends, which
//! must not be slower by an order.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use msrp::{Deframer, Item};

const CHUNKS: usize = 1_000;

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

fn ends(octets: &[u8]) -> usize {
    let mut deframer = Deframer::default();
    let (mut at, mut ends) = (0, 0);
    loop {
        let step = deframer.next(&octets[at..]).expect("good chunks");
        at += step.consumed;
        match step.item {
            Some(Item::End(_)) => ends += 1,
            Some(Item::Head(_) | Item::Body(_)) => {}
            None => return ends,
        }
    }
}

fn deframe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deframe");
    for size in [0, 100, 1_024, 16_384] {
        let stream = chunk(&vec![b'x'; size]).repeat(CHUNKS);
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(BenchmarkId::new("1000_chunks", size), |bencher| {
            bencher.iter(|| assert_eq!(ends(&stream), CHUNKS));
        });
    }
    for (name, fill) in [
        ("letters", &b"x"[..]),
        ("hyphens", b"-"),
        ("lines", b"\r\n-------"),
    ] {
        let stream = chunk(&fill.repeat((1 << 20) / fill.len()));
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(BenchmarkId::new("1_mib_of", name), |bencher| {
            bencher.iter(|| assert_eq!(ends(&stream), 1));
        });
    }
    group.finish();
}

criterion_group!(benches, deframe);
criterion_main!(benches);
