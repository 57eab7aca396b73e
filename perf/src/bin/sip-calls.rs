//! Calls to a focus by UDP, at a rate that no answer changes: INVITE, 200, ACK, BYE. Callers repeat themselves as
//! RFC 3261 17.1 has it and take 503 for an answer. A refused call takes a third of what `SIPp` needs for one, so that what is
//! measured is the focus when both share a machine.

#![expect(
    clippy::disallowed_methods,
    reason = "a load generator reads the clock and naps"
)]

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use core::cmp::Reverse;
use core::net::SocketAddr;
use core::time::Duration;
use serde_json::json;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Instant;

/// Round-trip estimate (RFC 3261 17.1.1.1).
const T1: Duration = Duration::from_millis(500);
/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// Calls begun, and datagrams read, before the other is looked after.
const BATCH: usize = 64;
/// Until queues are as long as they will be.
const WARM: Duration = Duration::from_secs(1);
/// How long to sleep when there is nothing to do.
const NAP: Duration = Duration::from_micros(200);
/// Octets that the socket may hold.
const RECEIVE_BYTES: usize = 4 << 20;

/// Calls a focus and prints, as JSON, what became of the calls.
#[derive(Parser)]
struct Options {
    /// Address and port of the focus.
    server: SocketAddr,
    /// Calls a second.
    #[arg(long)]
    rate: u32,
    /// For how long calls are begun.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Conferences `room0` and so on that are called in turn.
    #[arg(long, default_value_t = 100)]
    conferences: u32,
    /// Port to call from; 0: any.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was heard.
    Calling,
    /// A provisional response was.
    Proceeding,
    /// BYE was sent.
    Ending,
    Carried,
    Refused,
    Failed,
}

struct Call {
    state: State,
    begun: Instant,
    /// To and the Request-URI once there is a dialog.
    to: String,
    target: String,
}

/// When, for which call, whether for its BYE, and after how long it was.
type Alarm = (Instant, usize, bool, Duration);

struct Caller {
    socket: UdpSocket,
    own: SocketAddr,
    conferences: u32,
    calls: Vec<Call>,
    /// When to look after a call again, which, and after how long then.
    alarms: BinaryHeap<Reverse<Alarm>>,
    repeated: u64,
    /// Microseconds from INVITE to 200.
    answered: Vec<u64>,
    open: usize,
    /// Calls carried until now.
    carried: usize,
    /// The same after the first second, and when no call is begun any more.
    steady: [Option<usize>; 2],
}

fn main() -> Result<()> {
    let options = Options::parse();
    let own: SocketAddr = match options.server {
        SocketAddr::V4(_) => ([127, 0, 0, 1], options.port).into(),
        SocketAddr::V6(_) => bail!("IPv4 alone"),
    };
    let socket = UdpSocket::bind(own).with_context(|| format!("{own}"))?;
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BYTES)?;
    socket.connect(options.server)?;
    socket.set_nonblocking(true)?;
    let mut caller = Caller {
        own: socket.local_addr()?,
        socket,
        conferences: options.conferences.max(1),
        calls: Vec::new(),
        alarms: BinaryHeap::new(),
        repeated: 0,
        answered: Vec::new(),
        open: 0,
        carried: 0,
        steady: [None; 2],
    };
    caller.run(options.rate, Duration::from_secs(options.seconds.into()))?;
    println!("{}", caller.report());
    Ok(())
}

impl Caller {
    fn run(&mut self, rate: u32, time: Duration) -> Result<()> {
        let begun = Instant::now();
        let mut buffer = vec![0; 65_536];
        loop {
            let now = Instant::now();
            let due = now.duration_since(begun).min(time).as_secs_f64() * f64::from(rate);
            let mut did = 0;
            while did < BATCH && f64::from(u32::try_from(self.calls.len())?) < due {
                self.begin()?;
                did += 1;
            }
            for _ in 0..BATCH {
                match self.socket.recv(&mut buffer) {
                    Ok(count) => self.hear(core::str::from_utf8(&buffer[..count])?)?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
                did += 1;
            }
            did += self.look_after(now)?;
            let passed = now.duration_since(begun);
            for (mark, at) in self.steady.iter_mut().zip([WARM, time]) {
                if passed >= at {
                    mark.get_or_insert(self.carried);
                }
            }
            if passed >= time && self.open == 0 {
                return Ok(());
            }
            if did == 0 {
                std::thread::sleep(NAP);
            }
        }
    }

    fn begin(&mut self) -> Result<()> {
        let (number, now) = (self.calls.len(), Instant::now());
        let room = number % usize::try_from(self.conferences)?;
        self.calls.push(Call {
            state: State::Calling,
            begun: now,
            to: format!("<sip:room{room}@home2.example>"),
            target: format!("sip:room{room}@home2.example"),
        });
        self.open += 1;
        self.alarms.push(Reverse((now + T1, number, false, T1)));
        self.say(number, "INVITE")
    }

    /// Repeats what was not answered, gives up what nobody answers.
    fn look_after(&mut self, now: Instant) -> Result<usize> {
        let mut did = 0;
        while let Some(&Reverse((at, number, is_bye, wait))) = self.alarms.peek() {
            if at > now || did >= BATCH {
                break;
            }
            self.alarms.pop();
            did += 1;
            let call = &mut self.calls[number];
            let method = match (call.state, is_bye) {
                (State::Calling, _) => Some("INVITE"),
                (State::Ending, true) => Some("BYE"),
                (State::Proceeding, _) => None,
                _ => continue,
            };
            if now.duration_since(call.begun) >= PATIENCE {
                call.state = State::Failed;
                self.open -= 1;
                continue;
            }
            let alarm = (now + wait * 2, number, is_bye, wait * 2);
            self.alarms.push(Reverse(alarm));
            if let Some(method) = method {
                self.repeated += 1;
                self.say(number, method)?;
            }
        }
        Ok(did)
    }

    fn hear(&mut self, text: &str) -> Result<()> {
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let (Some(code), Some(id), Some(cseq)) = (text.get(8..11), field("Call-ID"), field("CSeq"))
        else {
            bail!("no response: {text}");
        };
        let number: usize = id.split('@').next().unwrap_or_default().parse()?;
        let call = self.calls.get_mut(number).context("no call of ours")?;
        if cseq.ends_with("BYE") {
            if call.state == State::Ending {
                call.state = State::Carried;
                self.carried += 1;
                self.open -= 1;
            }
            return Ok(());
        }
        let is_over = matches!(call.state, State::Carried | State::Refused | State::Failed);
        match code.as_bytes()[0] {
            b'1' if call.state == State::Calling => call.state = State::Proceeding,
            b'1' => {}
            b'2' if matches!(call.state, State::Calling | State::Proceeding) => {
                field("To").context("no To")?.clone_into(&mut call.to);
                let contact = field("Contact").context("no Contact")?;
                let target = contact.split(['<', '>']).nth(1).context("no URI")?;
                target.clone_into(&mut call.target);
                call.state = State::Ending;
                let took = call.begun.elapsed().as_micros();
                self.answered.push(u64::try_from(took)?);
                let alarm = (Instant::now() + T1, number, true, T1);
                self.alarms.push(Reverse(alarm));
                self.say(number, "ACK")?;
                self.say(number, "BYE")?;
            }
            b'2' => self.say(number, "ACK")?,
            _ => {
                field("To").context("no To")?.clone_into(&mut call.to);
                if !is_over {
                    call.state = if code == "503" {
                        State::Refused
                    } else {
                        State::Failed
                    };
                    self.open -= 1;
                }
                self.say(number, "ACK")?;
            }
        }
        Ok(())
    }

    fn say(&self, number: usize, method: &str) -> Result<()> {
        let (own, call) = (self.own, &self.calls[number]);
        // The ACK of a refusal belongs to the INVITE; that of a 2xx is on its own.
        let (branch, cseq) = match method {
            "BYE" => ("b", 2),
            "ACK" if call.state == State::Ending || call.state == State::Carried => ("a", 1),
            _ => ("i", 1),
        };
        let body = if method == "INVITE" {
            format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                m=message 2855 TCP/MSRP *\r\na=accept-types:message/cpim text/plain\r\n\
                a=path:msrp://127.0.0.1:2855/s{number};tcp\r\na=setup:active\r\n"
            )
        } else {
            String::new()
        };
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{branch}{number}p{}\r\nMax-Forwards: 70\r\n\
            From: <sip:user{number}@home1.example>;tag=l{number}\r\nTo: {}\r\nCall-ID: {number}@{own}\r\n\
            CSeq: {cseq} {method}\r\nContact: <sip:user{number}@{own}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            call.target,
            own.port(),
            call.to,
            body.len(),
        );
        match self.socket.send(text.as_bytes()) {
            // As if lost on the way; callers repeat themselves.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            sent => Ok(sent.map(|_| ())?),
        }
    }

    fn report(&mut self) -> serde_json::Value {
        let count = |state| self.calls.iter().filter(|call| call.state == state).count();
        let (refused, failed) = (count(State::Refused), count(State::Failed));
        self.answered.sort_unstable();
        let at = |share: usize| {
            self.answered
                .get(self.answered.len() * share / 1_000)
                .copied()
        };
        json!({
            "made": self.calls.len(), "carried": self.carried,
            "steady": self.steady[1].zip(self.steady[0]).map(|(end, warm)| end.saturating_sub(warm)), "refused": refused, "failed": failed,
            "repeated": self.repeated, "p50_us": at(500), "p99_us": at(990),
        })
    }
}
