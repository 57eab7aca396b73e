//! One conference on one shard or several, with every participant in this thread.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Receiver;

use anyhow::{Context, ensure};
use msrp::{Body, Deframer, FailureReport, Head, Item, Start, StatusCode};
use reactor::{
    Control, Mailbox, ReactorKind, ShardHandle, ShardLinks, ShardThreadConfig, Socket,
    bind_listeners, spawn_shard,
};
use switch::{
    Command, ContextKey, Event, Limits, Order, SessionConfig, SessionKey, Shard, ShardConfig,
    ShardIndex,
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    /// Body octets of a message.
    pub(crate) size: usize,
    /// Recipients of each message.
    pub(crate) recipients: u32,
    /// Messages written at once.
    pub(crate) batch: usize,
    /// Shards that the participants are on, in turn; the sender is on the first.
    pub(crate) shards: u8,
    /// Every message is answered, by the shard and by each recipient.
    pub(crate) answers: bool,
}

/// Running shards with their participants; the first one sends.
pub(crate) struct Conference {
    shape: Shape,
    shards: Vec<Running>,
    sender: Sender,
    recipients: Vec<Recipient>,
    batch: Batch,
    body: Vec<u8>,
    buffer: Vec<u8>,
}

/// A shard.
struct Running {
    handle: ShardHandle,
    /// Where the system tells the CPU time of its thread.
    schedstat: String,
    done: Receiver<Event>,
}

/// The sender's messages; each round gives them new Message-IDs.
struct Batch {
    text: Vec<u8>,
    /// Where the serial of each Message-ID stands.
    serials: Vec<usize>,
    next: u64,
}

/// Digits of the serial in a Message-ID.
const SERIAL_DIGITS: usize = 12;

/// The sender waits until all it sent was answered.
struct Sender {
    stream: TcpStream,
    deframer: Deframer,
}

/// A recipient checks what it gets while it reads, and answers it if asked to.
struct Recipient {
    stream: TcpStream,
    deframer: Deframer,
    answers: Vec<u8>,
    /// Octets of the message being read that were right.
    matched: usize,
    messages: usize,
}

/// Octets read at once.
const READ_BYTES: usize = 256 * 1024;

impl Conference {
    /// Starts shards on `kind`, pinned to `core` and those behind it, and joins everybody.
    pub(crate) fn start(kind: ReactorKind, shape: Shape, core: usize) -> anyhow::Result<Self> {
        let mailboxes = (0..shape.shards)
            .map(|_| Mailbox::new())
            .collect::<Result<Vec<_>, _>>()?;
        let links = ShardLinks::new(&mailboxes);
        let mut shards = Vec::new();
        for (index, mailbox) in (0..shape.shards).zip(mailboxes) {
            let place = (ShardIndex(index), shape.shards, core);
            shards.push(Running::start(kind, place, mailbox, links.clone())?);
        }
        let addr = shards[0].addr();
        let mut streams = Vec::new();
        for n in 0..=shape.recipients {
            let home = usize::try_from(n)? % shards.len();
            let (key, context) = (key(n), ContextKey(1));
            for (at, shard) in shards.iter().enumerate() {
                let config = Box::new(session(addr, n));
                let order = if at == home {
                    Order::Install {
                        session: key,
                        context,
                        config,
                    }
                } else {
                    Order::Announce {
                        session: key,
                        context,
                        shard: ShardIndex(u8::try_from(home)?),
                        home: ShardIndex(0),
                        config,
                    }
                };
                shard.order(u64::from(n), order)?;
            }
            streams.push(join(addr, shards[home].addr(), n)?);
        }
        let sender = Sender {
            stream: streams.remove(0),
            deframer: Deframer::default(),
        };
        let body: Vec<u8> = (0..shape.size)
            .map(|i| b'a' + u8::try_from(i % 26).expect("below 26"))
            .collect();
        Ok(Self {
            shape,
            shards,
            sender,
            recipients: streams.into_iter().map(Recipient::new).collect(),
            batch: Batch::new(addr, shape, &body),
            body,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Runs `count` rounds; returns the CPU time of all shards per delivered message in
    /// nanoseconds.
    pub(crate) fn rounds(&mut self, count: usize) -> anyhow::Result<f64> {
        let before = self.cpu_nanos()?;
        for _ in 0..count {
            self.sender.stream.write_all(self.batch.renew())?;
            for recipient in &mut self.recipients {
                recipient.read(self.shape.batch, &self.body, &mut self.buffer)?;
            }
            if self.shape.answers {
                self.sender.read(self.shape.batch, &mut self.buffer)?;
            }
        }
        let nanos = self.cpu_nanos()? - before;
        let deliveries = count * self.shape.batch * self.recipients.len();
        Ok(nanos as f64 / deliveries as f64)
    }

    fn cpu_nanos(&self) -> anyhow::Result<u64> {
        self.shards.iter().map(Running::cpu_nanos).sum()
    }

    /// Ends the shards.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.shards.iter().for_each(|shard| shard.handle.stop());
        for shard in self.shards {
            shard.handle.join()?;
        }
        Ok(())
    }
}

impl Running {
    fn start(
        kind: ReactorKind,
        (index, shards, core): (ShardIndex, u8, usize),
        mailbox: Mailbox<Socket>,
        links: ShardLinks<Socket>,
    ) -> anyhow::Result<Self> {
        let (events, done) = std::sync::mpsc::channel();
        let mut listeners = bind_listeners(&[SocketAddr::from(([127, 0, 0, 1], 0))], 1)?;
        let sink = Box::new(move |event| _ = events.send(event));
        let mut config = ShardThreadConfig::new(index, mailbox, links, sink);
        config.reactor = kind;
        let cores = std::thread::available_parallelism()?.get();
        config.core = Some((core + usize::from(index.0)) % cores);
        config.listeners = listeners.pop().context("one list of listeners")?;
        let logic = ShardConfig {
            index,
            shards,
            life: 0,
            limits: Limits::default(),
            seed: [9 + index.0; 32],
        };
        let before = threads()?;
        let handle = spawn_shard(config, move || Shard::new(logic))?;
        let thread = threads()?.into_iter().find(|t| !before.contains(t));
        let thread = thread.context("the shard's thread")?;
        Ok(Self {
            handle,
            schedstat: format!("/proc/self/task/{thread}/schedstat"),
            done,
        })
    }

    fn addr(&self) -> SocketAddr {
        self.handle.local_addrs()[0]
    }

    /// Waits until the order is done.
    fn order(&self, token: u64, order: Order) -> anyhow::Result<()> {
        let command = Command { token, order };
        let sent = self.handle.send(Control::Command(command));
        ensure!(sent.is_ok(), "the mailbox is full");
        while !matches!(self.done.recv()?, Event::Done { token: t, .. } if t == token) {}
        Ok(())
    }

    fn cpu_nanos(&self) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(&self.schedstat)?;
        Ok(text.split(' ').next().context("schedstat")?.parse()?)
    }
}

impl Sender {
    /// Reads until `count` messages more are answered.
    fn read(&mut self, count: usize, buffer: &mut [u8]) -> anyhow::Result<()> {
        let mut answered = 0;
        while answered < count {
            let len = self.stream.read(buffer)?;
            ensure!(len > 0, "the switch closed the connection of the sender");
            let mut at = 0;
            loop {
                let step = self.deframer.next(&buffer[at..len])?;
                at += step.consumed;
                match step.item {
                    Some(Item::Head(head)) => {
                        let Start::Response { status, .. } = head.start else {
                            anyhow::bail!("a request to the sender");
                        };
                        ensure!(status == StatusCode::OK, "a message is refused");
                        answered += 1;
                    }
                    Some(Item::Body(_) | Item::End(_)) => {}
                    None => break,
                }
            }
        }
        Ok(())
    }
}

impl Recipient {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            deframer: Deframer::default(),
            answers: Vec::new(),
            matched: 0,
            messages: 0,
        }
    }

    /// Reads until `count` messages more are there, each with exactly `body`.
    fn read(&mut self, count: usize, body: &[u8], buffer: &mut [u8]) -> anyhow::Result<()> {
        let target = self.messages + count;
        while self.messages < target {
            let len = self.stream.read(buffer)?;
            ensure!(len > 0, "the switch closed the connection");
            let mut at = 0;
            loop {
                let octets = &buffer[at..len];
                let step = self.deframer.next(octets)?;
                at += step.consumed;
                let piece = match step.item {
                    Some(Item::Body(Body::Input(range))) => &octets[range],
                    Some(Item::Body(Body::Held(held))) => held,
                    Some(Item::Head(head)) => {
                        answer(&head, &mut self.answers)?;
                        continue;
                    }
                    Some(Item::End(flag)) => {
                        if flag == msrp::Flag::Complete {
                            ensure!(self.matched == body.len(), "a message is short");
                            self.matched = 0;
                            self.messages += 1;
                        }
                        continue;
                    }
                    None => break,
                };
                let expected = body.get(self.matched..self.matched + piece.len());
                ensure!(expected == Some(piece), "a message differs");
                self.matched += piece.len();
            }
        }
        self.stream.write_all(&self.answers)?;
        self.answers.clear();
        Ok(())
    }
}

/// Writes the answer to a request that asks for one.
fn answer(head: &Head<'_>, out: &mut Vec<u8>) -> std::io::Result<()> {
    if head.failure_report != FailureReport::Yes || !matches!(head.start, Start::Request(_)) {
        return Ok(());
    }
    let id = head.transaction_id;
    for part in [
        &b"MSRP "[..],
        id,
        b" 200 OK\r\nTo-Path: ",
        head.from_path,
        b"\r\nFrom-Path: ",
        head.to_path,
        b"\r\n-------",
        id,
        b"$\r\n",
    ] {
        out.write_all(part)?;
    }
    Ok(())
}

fn key(n: u32) -> SessionKey {
    SessionKey {
        termination: n,
        stream: 1,
    }
}

fn local(addr: SocketAddr, n: u32) -> String {
    format!("msrp://{addr}/perf{n:06};tcp")
}

fn remote(n: u32) -> String {
    format!("msrp://127.0.0.1:9/peer{n:06};tcp")
}

fn session(addr: SocketAddr, n: u32) -> SessionConfig {
    SessionConfig {
        remote_path: Some(remote(n).into_bytes().into()),
        ..SessionConfig::new(
            local(addr, n).into_bytes(),
            format!("perf{n:06}").into_bytes(),
        )
    }
}

/// Connects to the shard at `to`, where the session of `n` is.
fn join(addr: SocketAddr, to: SocketAddr, n: u32) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    let binding = format!(
        "MSRP bind{n:06} SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: bind{n:06}\r\n\
         Byte-Range: 1-0/0\r\n-------bind{n:06}$\r\n",
        local(addr, n),
        remote(n)
    );
    stream.write_all(binding.as_bytes())?;
    let end = format!("-------bind{n:06}$\r\n");
    let mut answer = Vec::new();
    let mut buffer = [0; 1_024];
    while !answer.ends_with(end.as_bytes()) {
        let len = stream.read(&mut buffer)?;
        ensure!(len > 0, "the switch refused participant {n}");
        answer.extend_from_slice(&buffer[..len]);
    }
    ensure!(
        answer.starts_with(format!("MSRP bind{n:06} 200").as_bytes()),
        "not bound"
    );
    Ok(stream)
}

impl Batch {
    /// Without answers rounds have no other traffic.
    fn new(addr: SocketAddr, shape: Shape, body: &[u8]) -> Self {
        let report = if shape.answers { "yes" } else { "no" };
        let mut text = Vec::new();
        let mut serials = Vec::new();
        for i in 0..shape.batch {
            let head = format!(
                "MSRP perf{i:06} SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: perf",
                local(addr, 0),
                remote(0)
            );
            text.extend_from_slice(head.as_bytes());
            serials.push(text.len());
            text.resize(text.len() + SERIAL_DIGITS, b'0');
            let rest = format!(
                "\r\nByte-Range: 1-{0}/{0}\r\nFailure-Report: {report}\r\n\
                 Content-Type: text/plain\r\n\r\n",
                body.len()
            );
            text.extend_from_slice(rest.as_bytes());
            text.extend_from_slice(body);
            text.extend_from_slice(format!("\r\n-------perf{i:06}$\r\n").as_bytes());
        }
        Self {
            text,
            serials,
            next: 0,
        }
    }

    /// The messages under Message-IDs never used before.
    fn renew(&mut self) -> &[u8] {
        for &at in &self.serials {
            self.next += 1;
            let serial = format!("{:0SERIAL_DIGITS$}", self.next);
            self.text[at..at + SERIAL_DIGITS].copy_from_slice(serial.as_bytes());
        }
        &self.text
    }
}

fn threads() -> anyhow::Result<Vec<String>> {
    let tasks = std::fs::read_dir("/proc/self/task")?;
    tasks
        .map(|task| Ok(task?.file_name().to_string_lossy().into_owned()))
        .collect()
}
