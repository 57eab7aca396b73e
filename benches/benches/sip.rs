//! A call through the user agent, from INVITE to BYE.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mrf_benches::call::Calls;

fn call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sip");
    group.throughput(Throughput::Elements(1));
    group.bench_function("call", |bencher| {
        let mut calls = Calls::default();
        let octets = calls.run();
        bencher.iter(|| assert_eq!(calls.run(), octets));
    });
    group.finish();
}

criterion_group!(benches, call);
criterion_main!(benches);
