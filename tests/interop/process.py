"""Processes of a check: started with pipes, waited for by condition, ended by pid."""

import os
import queue
import re
import signal
import subprocess
import threading
import time

START_SECONDS = 20
STOP_SECONDS = 15
# The log target of whole H.248 messages; check_h248 shows them to Erlang's codec at the end.
WIRE = "h248_endpoint::wire"


class Failure(Exception):
    """A check's expectation did not hold."""


def ensure(condition, message):
    """Fails the check with `message` unless `condition` holds."""
    if not condition:
        raise Failure(message)


def poll(question, seconds, what):
    """Asks until the answer is truthy; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        ensure(time.monotonic() < deadline, f"{what}: not within {seconds} s")
        time.sleep(0.02)


def output(command, seconds, said=None):
    """Runs a command that must do, with `said` on its stdin; what it wrote on stdout."""
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=False, timeout=seconds)
    ensure(done.returncode == 0, f"{' '.join(command[:2])}: {done.stderr.strip()}")
    return done.stdout


class Process:
    """A child whose stdout is read line by line and whose stderr goes to a file."""

    live = []

    def __init__(self, name, command, directory, stdin=subprocess.DEVNULL, **options):
        self.name = name
        self.log = os.path.join(directory, f"{name}-{len(os.listdir(directory))}.log")
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                command, stdin=stdin, stdout=subprocess.PIPE, stderr=log, text=True, **options
            )
        self.lines = queue.Queue()
        self.seen = []
        Process.live.append(self)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self, seconds, what):
        """The next line of stdout; `None` at its end."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise Failure(f"{self.name}: {what}: no line within {seconds} s; {self.tail()}") from None
        if line is None:
            self.lines.put(None)
        else:
            self.seen.append(line)
        return line

    def expect(self, pattern, seconds=START_SECONDS):
        """Reads lines until one matches; returns the match."""
        deadline = time.monotonic() + seconds
        while True:
            line = self.line(max(0.01, deadline - time.monotonic()), f"waiting for {pattern!r}")
            ensure(line is not None, f"{self.name} ended before {pattern!r}; {self.tail()}")
            found = re.search(pattern, line)
            if found:
                return found

    def rest(self, seconds):
        """Waits for the end and returns all lines of stdout."""
        deadline = time.monotonic() + seconds
        while self.line(max(0.01, deadline - time.monotonic()), "waiting for its end") is not None:
            pass
        return self.seen

    def exit_code(self, seconds=STOP_SECONDS):
        """Waits for the exit code."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} still runs after {seconds} s; {self.tail()}") from None

    def say(self, line):
        """Writes a line to stdin (opened with `stdin=PIPE`)."""
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def tail(self, lines=12):
        """The end of stderr, for the message of a failure."""
        with open(self.log, errors="replace") as log:
            ends = [line for line in log.read().splitlines() if WIRE not in line][-lines:]
            return f"its log ends: {' | '.join(ends)}"

    def stop(self, how=signal.SIGTERM):
        """Ends the child, gently first, and reaps it."""
        if self.child.poll() is None:
            self.child.send_signal(how)
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self in Process.live:
            Process.live.remove(self)
        return self.child.returncode


def stop_all():
    """Ends every child still alive; the youngest first. Nothing is asked of them, so at once."""
    for process in reversed(list(Process.live)):
        process.stop(signal.SIGKILL)


class Mrf(Process):
    """A running `mrf`: `ready` maps each key of its ready line to the list of its values."""

    def __init__(self, env, command, *arguments, name=None, trace=True):
        words = [env.mrf, command, "--log-format", "json", *arguments]
        variables = {**os.environ, "RUST_LOG": f"info,{WIRE}=trace" if trace else "warn"}
        super().__init__(name or f"mrf-{command}", words, env.directory, env=variables)
        line = self.expect(r"^ready( |$)").string
        self.ready = {}
        for word in line.split()[1:]:
            key, _, value = word.partition("=")
            self.ready.setdefault(key, []).append(value)

    def address(self, key):
        """The first listener called `key`, as (host, port)."""
        ensure(key in self.ready, f"the ready line lacks {key}: {self.seen}")
        return split_address(self.ready[key][0])

    def ensure_alive(self):
        """Fails when the process has ended."""
        ensure(self.child.poll() is None, f"{self.name} died; {self.tail()}")


def split_address(text):
    """`host:port` or `[v6]:port` as (host without brackets, port)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def join_address(host, port):
    """The reverse of `split_address`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
