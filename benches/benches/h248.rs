//! The text codec on the reservation of one participant, in both spellings.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use h248::{Encoding, Limits, parse, print};
use mrf_benches::reservation::RESERVE;

fn codec(criterion: &mut Criterion) {
    let limits = Limits::default();
    let message = parse(RESERVE, &limits).expect("a good message");
    let mut group = criterion.benchmark_group("h248");
    for (name, encoding) in [("pretty", Encoding::Pretty), ("compact", Encoding::Compact)] {
        let text = print(&message, encoding);
        assert_eq!(parse(&text, &limits).expect("good"), message);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("parse_{name}"), |bencher| {
            bencher.iter(|| assert_eq!(parse(&text, &limits).expect("good").version, 2));
        });
        group.bench_function(format!("print_{name}"), |bencher| {
            bencher.iter(|| assert_eq!(print(&message, encoding).len(), text.len()));
        });
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
