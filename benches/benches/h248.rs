//! The text codec on the reservation of one participant, in both spellings.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use h248::{Encoding, Limits, parse, print};

const RESERVE: &[u8] = b"MEGACO/2 <mrfc1.example.net>:2944
Transaction = 12 { Context = $ { Add = $ { Media { Stream = 1 {
  LocalControl { Mode = SendReceive },
  Local {
v=0
c=IN IP4 $
m=message $ TCP/MSRP *
a=path:$
},
  Remote {
v=0
c=IN IP4 192.0.2.10
m=message 7394 TCP/MSRP *
a=path:msrp://192.0.2.10:7394/2s93i93idj;tcp
} } },
  Events = 77 { hangterm/thb { timerx = 3600 }, g/cause } } } }
";

fn codec(criterion: &mut Criterion) {
    let limits = Limits::default();
    let message = parse(RESERVE, &limits).expect("a good message");
    let mut group = criterion.benchmark_group("h248");
    for (name, encoding) in [("pretty", Encoding::Pretty), ("compact", Encoding::Compact)] {
        let text = print(&message, encoding);
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
