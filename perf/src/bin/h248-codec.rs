//! Our text codec on the messages of messaging conferences, for `perf/h248-vs-erlang`.
//!
//! ```text
//! h248-codec write FILE    200 messages, short form, each after its length (32 bits, big endian)
//! h248-codec measure FILE  decodes and encodes them; messages per second of each, best round
//! ```
//!
//! Seconds are those of this thread's CPU time: neighbours on the machine count little. Decoding is from
//! octets to the tree that gateway and controller work with, and dropping it; encoding is from the tree to
//! a new buffer, and dropping that.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use h248::ast::Message;
use h248::{Encoding, Limits};
use rustix::time::{ClockId, clock_gettime};

/// Messages in a set.
const MESSAGES: usize = 200;
/// How long one round computes, about.
const ROUND: Duration = Duration::from_millis(200);
/// Rounds of which the best counts: a neighbour on the machine only ever slows one down.
const ROUNDS: usize = 15;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", file] => fs::write(file, framed()?).with_context(|| file.to_owned()),
        ["measure", file] => measure(&fs::read(file).with_context(|| file.to_owned())?),
        _ => bail!("usage: h248-codec write|measure FILE"),
    }
}

/// The set in short form.
fn framed() -> anyhow::Result<Vec<u8>> {
    let mut framed = Vec::new();
    for n in 0..MESSAGES {
        let text = message(n);
        let parsed = h248::parse(text.as_bytes(), &Limits::default()).context(text.clone())?;
        let compact = h248::print(&parsed, Encoding::Compact);
        framed.extend_from_slice(&u32::try_from(compact.len())?.to_be_bytes());
        framed.extend_from_slice(&compact);
    }
    Ok(framed)
}

/// What an MRFC and an MRFP say to each other while conferences live, by turns.
fn message(n: usize) -> String {
    let (context, leg) = (n / 10 + 1, n % 10 + 1);
    let mgc = "<mrfc1.example.net>:2944";
    let mg = "<mrfp1.example.net>:2944";
    let sdp = |port: usize, user: &str| {
        format!(
            "\nv=0\no=- 0 0 IN IP4 192.0.2.{leg}\ns=-\nc=IN IP4 192.0.2.{leg}\nt=0 0\n\
             m=message {port} TCP/MSRP *\na=path:msrp://192.0.2.{leg}:{port}/{user}{n};tcp\n"
        )
    };
    match n % 10 {
        0 => format!(
            "!/1 {mg} T={n}{{C=-{{SC=ROOT{{SV{{MT=RS,RE=\"901 Cold Boot\",PF=MRF/7,V=2,\
             20260727T10000000}}}}}}}}"
        ),
        1 => format!(
            "!/2 {mgc} T={n}{{C=${{A=${{M{{ST=1{{O{{MO=SR,tcpbcc/bceb=Unblocked}},L{{\nv=0\n\
             c=IN IP4 $\nm=message $ TCP/MSRP *\na=path:$\n}},R{{{}}}}}}},E=77{{hangterm/thb{{\
             timerx=3600}},g/cause,msrpstat/mquota{{ST=1,msq=100,mrv=1048576}}}}}}}}}}",
            sdp(7394, "peer")
        ),
        2 => format!(
            "!/2 {mg} P={n}{{C={context}{{A=msrp/{leg}{{M{{ST=1{{L{{{}}}}}}}}}}}}}",
            sdp(2855, "own")
        ),
        3 => format!(
            "!/2 {mgc} T={n}{{C={context}{{MF=msrp/{leg}{{M{{ST=1{{R{{{}}}}}}}}}}}}}",
            sdp(7394, "other")
        ),
        4 => format!("!/2 {mg} P={n}{{C={context}{{MF=msrp/{leg}}}}}"),
        5 => format!("!/2 {mgc} T={n}{{C=-{{AV=ROOT{{AT{{}}}}}}}}K{{{n}}}"),
        6 => format!(
            "!/2 {mg} T={n}{{C={context}{{N=msrp/{leg}{{OE=77{{20260727T10151234:msrpstat/mquota{{\
             ST=1,qreach=1,nms=100,nmr=7}}}}}}}}}}"
        ),
        7 => format!("!/2 {mgc} T={n}{{C={context}{{S=*}}}}"),
        8 => {
            let mut text = format!("!/2 {mg} P={n}{{C={context}{{");
            for leg in 1..=5 {
                let comma = if leg > 1 { "," } else { "" };
                let _ = write!(
                    text,
                    "{comma}S=msrp/{leg}{{SA{{nt/dur=61000,nt/os=5000,nt/or=9000,msrpstat/nms=34,\
                     msrpstat/nmr=12,msrpstat/vms=8192,msrpstat/vmr=4096}}}}"
                );
            }
            text + "}}"
        }
        _ => format!(
            "!/2 {mg} P={n}{{C={context}{{MF=msrp/{leg}{{ER=450{{\"No such property in this \
             package\"}}}}}}}}"
        ),
    }
}

fn measure(framed: &[u8]) -> anyhow::Result<()> {
    let texts = texts(framed)?;
    let limits = Limits::default();
    let messages: Result<Vec<Message>, _> = texts.iter().map(|t| h248::parse(t, &limits)).collect();
    let messages = messages.context("a good set")?;
    let octets: usize = texts.iter().map(|text| text.len()).sum();
    let decode = best(texts.len(), || {
        for text in &texts {
            assert!(h248::parse(black_box(text), &limits).is_ok());
        }
    });
    let encode = best(texts.len(), || {
        for message in &messages {
            black_box(h248::print(black_box(message), Encoding::Compact));
        }
    });
    println!("messages {} octets {octets}", texts.len());
    println!("decode {decode:.0}");
    println!("encode {encode:.0}");
    Ok(())
}

fn texts(mut framed: &[u8]) -> anyhow::Result<Vec<&[u8]>> {
    let mut texts = Vec::new();
    while let Some((length, rest)) = framed.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length))?;
        ensure!(length <= rest.len(), "the file is cut short");
        let (text, rest) = rest.split_at(length);
        texts.push(text);
        framed = rest;
    }
    Ok(texts)
}

/// Messages per second of `work`, which handles `count`.
#[expect(clippy::cast_precision_loss, reason = "a measurement, of few messages")]
fn best(count: usize, mut work: impl FnMut()) -> f64 {
    let mut rate: f64 = 0.0;
    for _ in 0..ROUNDS {
        let started = computed();
        let mut passes = 0;
        while computed() - started < ROUND {
            work();
            passes += 1;
        }
        rate = rate.max((passes * count) as f64 / (computed() - started).as_secs_f64());
    }
    rate
}

/// What this thread has computed so far.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("CPU time is not negative")
}
