//! Running the binary and waiting for what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Longer than anything takes on a slow machine; a test that gets there has failed.
const WITHIN: Duration = Duration::from_secs(60);

/// Free ports everywhere.
pub(crate) const FREE_PORTS: [&str; 10] = [
    "--sip",
    "udp:127.0.0.1:0",
    "--sip",
    "tcp:127.0.0.1:0",
    "--h248",
    "udp:127.0.0.1:0",
    "--msrp",
    "127.0.0.1:0",
    "--http",
    "127.0.0.1:0",
];

/// What a finished program left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mrf"));
    command.args(args);
    // What the developer has set must not change what is tested.
    command.env_remove("RUST_LOG");
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("MRF_")) {
        command.env_remove(name);
    }
    command
}

/// Runs to the end, with `input` on standard input.
pub(crate) fn finish(args: &[&str], input: &[u8]) -> Finished {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that reads nothing closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A program that runs; killed when dropped.
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Program {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    pub(crate) fn start_with(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    /// The next line of standard output.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.stdout
            .recv_timeout(WITHIN)
            .expect("a line on standard output")
    }

    /// Whether standard output ended without a further line.
    pub(crate) fn is_silent_to_the_end(&self) -> bool {
        self.stdout.recv_timeout(WITHIN).is_err()
    }

    /// The first line of standard error with these words.
    #[track_caller]
    pub(crate) fn said(&self, words: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(WITHIN).expect(words);
            if line.contains(words) {
                return line;
            }
        }
    }

    /// What is left of standard output, to its end.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.stdout.iter().collect()
    }

    /// The processes that it has started, by their numbers.
    pub(crate) fn children(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let of = |task: PathBuf| std::fs::read_to_string(task.join("children")).unwrap();
        let all: String = tasks.map(|task| of(task.unwrap().path())).collect();
        let numbers = all.split_whitespace().map(|number| number.parse().unwrap());
        numbers.collect()
    }

    /// What is left of standard error, to its end.
    pub(crate) fn log(&self) -> Vec<String> {
        self.stderr.iter().collect()
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// How it ended. It must have been told to.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A server that said `ready`.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) pairs: Vec<(String, String)>,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::of(Program::start(args))
    }

    /// `mrf run` on free ports.
    pub(crate) fn run() -> Self {
        let mut args = vec!["run"];
        args.extend(FREE_PORTS);
        Self::start(&args)
    }

    pub(crate) fn of(program: Program) -> Self {
        let line = program.line();
        let facts = line.strip_prefix("ready ").expect("a ready line");
        let pairs = facts.split(' ').map(|pair| {
            let (key, value) = pair.split_once('=').expect("key=value");
            (key.to_owned(), value.to_owned())
        });
        Self {
            pairs: pairs.collect(),
            program,
        }
    }

    pub(crate) fn keys(&self) -> Vec<&str> {
        self.pairs.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[track_caller]
    pub(crate) fn get(&self, key: &str) -> &str {
        let pair = self.pairs.iter().find(|(k, _)| k == key);
        &pair.expect(key).1
    }

    /// Status line and body of an HTTP GET.
    pub(crate) fn http(&self, path: &str) -> (String, String) {
        self.http_with("GET", path, "", "")
    }

    /// The same of any method, with further header lines and a body of JSON.
    pub(crate) fn http_with(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (String, String) {
        let host = self.get("http");
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        let size = body.len();
        let host = if headers.starts_with("Host:") {
            String::new()
        } else {
            format!("Host: {host}\r\n")
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }
}
