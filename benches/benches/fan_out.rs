//! The switch alone, see [`mrf_benches::fan_out`]. Elements per second are deliveries per second.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mrf_benches::fan_out::{FanOut, MESSAGES};

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan_out");
    for size in [100, 1_024, 16_384] {
        for recipients in [1, 10, 100] {
            let mut fan_out = FanOut::new(recipients, size);
            let deliveries = MESSAGES * recipients as usize;
            group.throughput(Throughput::Elements(deliveries as u64));
            group.bench_function(
                BenchmarkId::new(format!("{size}_octets"), recipients),
                |b| {
                    b.iter(|| assert!(fan_out.run() > deliveries * size));
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
