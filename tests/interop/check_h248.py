"""Erlang/OTP's megaco as the controller of `mrf mrfp`."""

import functools
import glob
import json
import os
import socket
import subprocess

from check_msrp import SEED_TEXT, accepted, binary, bind, delivered, seed_message, three_chunks
from check_sip import SHARDS, has_ipv6
from msrp import WAIT_SECONDS, Endpoint, own_path
from process import Mrf, Process, ensure

MGC_SECONDS = 90
BOOK = "../../engine/mrfp/src/gateway/tests/book"
MEBIBYTE = 1 << 20


class Controller(Process):
    """mgc.escript; `port` is where the gateway shall register."""

    def __init__(self, env, transport, encoding, version, *arguments):
        command = ["escript", env.path("mgc.escript"), transport, encoding, str(version), *arguments]
        super().__init__("mgc", command, env.directory, stdin=subprocess.PIPE)
        self.transport, self.version = transport, version
        self.port = int(self.expect(r"^listening (\d+)$")[1])

    def gateway(self, env, *flags):
        """Starts an `mrf mrfp` that registers here."""
        loopback = "[::1]" if self.transport.endswith("6") else "127.0.0.1"
        at = f"{self.transport.removesuffix('6')}:{loopback}"
        wanted = ["--mgc", f"{at}:{self.port}", "--msrp", "127.0.0.1:0", "--h248", f"{at}:0"]
        wanted += ["--http", "off", "--shards", SHARDS, "--storage", storage(env)]
        if self.version > 2:  # Version 2 is offered by default (TS 29.333); a lower one is agreed.
            wanted += ["--h248-version", str(self.version)]
        return Mrf(env, "mrfp", *wanted, *flags)

    def verdict(self, mrfp):
        """Waits for the end; fails with everything that did not hold."""
        lines = self.rest(MGC_SECONDS)
        code = self.exit_code()
        bad = [line for line in lines if line.startswith("not ok")]
        ensure(not bad, f"{'; '.join(bad)}; {mrfp.tail()}")
        ensure(code == 0 and lines[-1].startswith("done"), f"exit {code}, {lines[-1:]}; {self.tail()}")
        ensure(int(lines[-1].split()[1]) > 50, f"too few steps: {lines[-1]}")
        return lines


def book(env, transport, tokens, version):
    """Every row of the tables of requests and replies, on a gateway that runs."""
    tables = sorted(glob.glob(os.path.join(env.path(BOOK), "*.txt")))
    command = ["escript", env.path("book.escript"), transport, tokens, str(version), *tables]
    mgc = Process("book", command, env.directory)
    port = mgc.expect(r"^listening (\d+)$")[1]
    wanted = ["--mgc", f"{transport}:127.0.0.1:{port}", "--h248", f"{transport}:127.0.0.1:0"]
    wanted += ["--msrp", "127.0.0.1:0", "--http", "off"]
    mrfp = Mrf(env, "mrfp", *wanted, "--shards", SHARDS, "--h248-version", str(version), trace=False)
    lines = mgc.rest(MGC_SECONDS)
    bad = [line for line in lines if line.startswith("not ok")]
    ensure(not bad, f"{len(bad)} rows: {'; '.join(bad[:3])}; {mrfp.tail()}")
    done = lines[-1].split()
    ensure(done[0] == "done" and int(done[1]) > 400, f"too few rows: {lines[-1]}; {mgc.tail()}")
    mrfp.ensure_alive()


def storage(env):
    """Where the gateway keeps messages."""
    return os.path.join(env.directory, "storage")


def audit(env, transport, encoding, version):
    """The whole of mgc.escript, then a clean leave."""
    mgc = Controller(env, transport, encoding, version)
    mrfp = mgc.gateway(env)
    mgc.verdict(mrfp)
    mrfp.ensure_alive()
    # Over UDP nobody is left to answer that it goes, which it waits for: once is enough.
    if transport.startswith("tcp") or (encoding, version) == ("compact", 1):
        ensure(mrfp.stop() == 0, f"SIGTERM: exit {mrfp.child.returncode}; {mrfp.tail()}")


def statistics(lines, leg):
    """The msrpstat counters of a leg."""
    rows = [line.split()[2:] for line in lines if line.startswith(f"statistics {leg} ")]
    ensure(len(rows) == 1, f"statistics of leg {leg}: {rows}")
    return {name: int(value) for name, value in (word.split("=") for word in rows[0])}


def recorded(env, mgc):
    """What the first leg sent, as the storage has it: Message-IDs and texts."""
    place = next(line.split()[2] for line in mgc.seen if line.startswith("record 1 "))
    directory = os.path.join(storage(env), *place.removeprefix("file://").split("/"))
    with open(os.path.join(directory, "index.jsonl"), encoding="utf-8") as index:
        entries = [json.loads(line) for line in index]
    ensure(all(entry["complete"] for entry in entries), f"not complete: {entries}")
    texts = []
    for entry in entries:
        with open(os.path.join(directory, entry["file"]), "rb") as file:
            texts.append(file.read())
    return texts


def converse(env, mgc, mrfp, alice, bob):
    """Messages through the terminations; counters, filter and recording tell of them."""
    delivered(bob, b"Welcome")
    seed_message(alice, bob)
    three_chunks(alice, bob)
    binary(alice, bob, MEBIBYTE, "application/octet-stream")
    accepted(alice, alice.send(b"hush", content_type="text/x-secret"))
    accepted(alice, alice.send(b"Goodbye"))
    delivered(bob, b"Goodbye")
    mgc.say("go on")
    lines = mgc.verdict(mrfp)
    sent, received = statistics(lines, 1), statistics(lines, 2)
    ensure(sent["msrpstat/nmr"] == 5 and sent["msrpstat/nms"] == 0, f"counters of the sender: {sent}")
    ensure(received["msrpstat/nms"] == 5 and received["msrpstat/nmr"] == 0, f"of the recipient: {received}")
    texts = recorded(env, mgc)
    ensure(texts[0] == SEED_TEXT and len(texts[2]) == MEBIBYTE, "the recording differs")
    ensure(texts[3:] == [b"hush", b"Goodbye"], f"the recording ends {texts[3:]}")
    for counters, name in ((sent, "msrpstat/vmr"), (received, "msrpstat/vms")):
        ensure(counters[name] > MEBIBYTE, f"{name} {counters[name]}")
    alice.close()
    bob.close()


def media_passive(env, transport, reactor):
    """The MRFP listens, as it does for every controller that says nothing of roles."""
    paths = [own_path("127.0.0.1"), own_path("127.0.0.1")]
    mgc = Controller(env, transport, "compact", 2, "hold", *paths)
    mrfp = mgc.gateway(env, "--reactor", reactor)
    legs = [mgc.expect(rf"^leg {n} (\S+)$")[1] for n in (1, 2)]
    mgc.expect("^hold$")
    alice, bob = (Endpoint(own, peer).connect() for own, peer in zip(paths, legs))
    bind(alice, bob)
    converse(env, mgc, mrfp, alice, bob)


def media_active(env, reactor):
    """Told to obey SDP, the MRFP connects to a passive party and says which session it means."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    paths = [own_path("127.0.0.1", one.getsockname()[1]) for one in listening]
    mgc = Controller(env, "udp", "pretty", 2, "hold", "setup=passive", *paths)
    mrfp = mgc.gateway(env, "--honour-sdp", "on", "--reactor", reactor)
    legs = [mgc.expect(rf"^leg {n} (\S+)$")[1] for n in (1, 2)]
    parties = []
    for server, own, peer in zip(listening, paths, legs):
        server.settimeout(WAIT_SECONDS)
        party = Endpoint(own, peer).attach(server.accept()[0])
        first = party.message().frames[0]
        ensure(first.body is None, "the binding SEND has a body though nobody has spoken")
        ensure(first.get("To-Path") == own, f"binding To-Path {first.get('To-Path')!r}")
        ensure(first.get("From-Path") == peer, f"binding From-Path {first.get('From-Path')!r}")
        parties.append(party)
        server.close()
    mgc.expect("^hold$")
    converse(env, mgc, mrfp, *parties)


def checks():
    """Names and functions."""
    for transport in ("udp", "tcp"):
        for encoding in ("pretty", "compact"):
            for version in (1, 2, 3):
                yield f"h248-{transport}-{encoding}-v{version}", functools.partial(
                    audit, transport=transport, encoding=encoding, version=version
                )
    for transport, tokens in (("udp", "short"), ("tcp", "long")):
        for version in (1, 2, 3):
            yield f"h248-book-{transport}-{tokens}-v{version}", functools.partial(
                book, transport=transport, tokens=tokens, version=version
            )
    # Erlang's own UDP transport answers nobody over IPv6 (OTP 25).
    if has_ipv6():
        yield "h248-tcp6-compact-v2", functools.partial(
            audit, transport="tcp6", encoding="compact", version=2
        )
    for reactor in ("auto", "mio"):
        yield f"h248-media-passive-{reactor}", functools.partial(
            media_passive, transport="tcp", reactor=reactor
        )
        yield f"h248-media-active-{reactor}", functools.partial(media_active, reactor=reactor)
