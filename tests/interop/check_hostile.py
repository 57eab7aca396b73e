"""Hostile MSRP, from strangers and from a participant: each attack ends as it should, the others talk on, and memory
stays bounded."""

import os
import queue
import socket

from check_msrp import Participant, accepted, bind, delivered
from check_sip import listeners
from msrp import Endpoint, ident, own_path
from process import Failure, Mrf, ensure

PATIENCE_SECONDS = 20
# What a few hundred connections and a few thousand requests may cost beside what the process had.
GROWTH_BYTES_MAX = 64 << 20
STRAYS = 16_384


def resident_bytes(mrf):
    """Memory of the process."""
    with open(f"/proc/{mrf.child.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def stranger(mrf):
    """A connection that nobody knows."""
    return socket.create_connection(mrf.address("msrp"), PATIENCE_SECONDS)


def closed(stream, octets, what):
    """What is sent ends the connection."""
    try:
        stream.sendall(octets)
        while stream.recv(1 << 16):
            pass
    except (ConnectionError, BrokenPipeError):
        pass
    except TimeoutError:
        ensure(False, f"{what}: the connection is still open")
    stream.close()


def head(party, tid, method="SEND", more=""):
    """The beginning of a request of `party`."""
    return f"MSRP {tid} {method}\r\nTo-Path: {party.peer_path}\r\nFrom-Path: {party.own_path}\r\n{more}"


def chunk(party, name, body, byte_range, flag):
    """One chunk of the message `name`."""
    tid = ident()
    fields = f"Message-ID: {name}\r\nByte-Range: {byte_range}\r\nContent-Type: text/plain\r\n\r\n"
    return (head(party, tid, more=fields) + f"{body}\r\n-------{tid}{flag}\r\n").encode()


def statuses(party, count):
    """The status of each of the next responses."""
    found = []
    for _ in range(count):
        answer = party.responses.get(timeout=PATIENCE_SECONDS)
        ensure(answer is not None, f"the connection ended after {len(found)} answers")
        found.append(answer.status)
    return found


def ended(party, what):
    """The connection is closed."""
    try:
        more = party.responses.get(timeout=PATIENCE_SECONDS)
    except queue.Empty:
        raise Failure(f"{what}, and still connected") from None
    ensure(more is None, f"{what}, and {more} came")


def broken_heads(mrf):
    """Heads without end, with too much in them, or with octets that none has."""
    path = own_path(*mrf.address("msrp"))
    start = b"MSRP abcd1234 SEND\r\nTo-Path: "
    for what, octets in [
        ("an endless line", start + b"a" * 1_000_000),
        ("endless lines", start + path.encode() + b"\r\n" + b"X-Header: y\r\n" * 10_000),
        ("a hundred hops", start + b" ".join([path.encode()] * 100) + b"\r\n-------abcd1234$\r\n"),
        ("NUL in the start line", b"MSRP ab\0cd1234 SEND\r\n\r\n"),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("nothing but NUL", b"\0" * 100_000),
    ]:
        closed(stranger(mrf), octets, what)


def slow_heads(mrf):
    """Connections that never get to the end of a head; they are kept to the end of the check."""
    streams = [stranger(mrf) for _ in range(200)]
    for octet in b"MSRP abcd1234 SEND\r\nTo-Pa":
        for stream in streams:
            stream.sendall(bytes([octet]))
    return streams


def crumbs(eve, *others):
    """A message in chunks of one octet arrives as what it is."""
    text = "crumbs" * 50
    name = ident()
    for at, octet in enumerate(text):
        flag = "$" if at + 1 == len(text) else "+"
        eve.write(chunk(eve, name, octet, f"{at + 1}-{at + 1}/{len(text)}", flag))
    ensure(statuses(eve, len(text)) == [200] * len(text), "a chunk of one octet was refused")
    for party in others:
        delivered(party, text.encode())


def half_messages(eve, *others):
    """A thousand messages at once: a few are under way, the others are refused, and `#` ends those."""
    names = [ident() for _ in range(1_000)]
    for name in names:
        eve.write(chunk(eve, name, "x", "1-1/1000", "+"))
    found = statuses(eve, len(names))
    ensure(set(found) == {200, 413} and found.count(200) < 100, f"half messages: {found}")
    taken = [name for name, status in zip(names, found) if status == 200]
    for name in taken:
        eve.write(chunk(eve, name, "", "2-*/1000", "#"))
    statuses(eve, len(taken))
    for party in others:
        for _ in taken:
            ensure(party.message().frames[-1].flag == "#", "half a message came as a whole one")


def forgeries(eve):
    """Answers and reports to nothing: silence. AUTH: 501."""
    paths = f"To-Path: {eve.peer_path}\r\nFrom-Path: {eve.own_path}\r\n"
    for status in ("200 OK", "413 no", "481 no", "999"):
        for _ in range(2_000):
            tid = ident()
            eve.write(f"MSRP {tid} {status}\r\n{paths}-------{tid}$\r\n".encode())
    for _ in range(5_000):
        tid = ident()
        fields = f"Message-ID: {ident()}\r\nByte-Range: 1-9/9\r\nStatus: 000 413 no\r\n"
        eve.write((head(eve, tid, "REPORT", fields) + f"-------{tid}$\r\n").encode())
    tid = ident()
    eve.write((head(eve, tid, "AUTH") + f"-------{tid}$\r\n").encode())
    ensure(eve.response(tid).status == 501, "AUTH is not for us")


def repeats(eve, *others):
    """A message under the same name a thousand times is one message."""
    name = ident()
    for _ in range(1_000):
        eve.send(b"once", message_id=name)
    ensure(statuses(eve, 1_000) == [200] * 1_000, "a repeat was refused")
    for party in others:
        delivered(party, b"once")


def wrappers(eve, *others):
    """What calls itself Message/CPIM and is not goes on as it is."""
    for body in (b"", b"\0" * 100, b"From: \xff\r\n" * 2_000, b"NS: \r\n\r\n\r\n", b"a" * 20_000):
        tid = eve.send(body, content_type="message/cpim")
        ensure(eve.response(tid).status == 200, f"{body[:20]} was refused")
        for party in others:
            delivered(party, body, "message/cpim")


def faults(eve):
    """Faulty requests are answered 400, and at the eighth the connection is closed."""
    for _ in range(8):
        tid = ident()
        eve.write((head(eve, tid, more="Message-ID: \0\r\n") + f"-------{tid}$\r\n").encode())
    ensure(statuses(eve, 8) == [400] * 8, "a faulty request was taken")
    ended(eve, "eight faults")


def strays(eve):
    """So are requests for sessions that nobody has, later."""
    nobody = Endpoint(eve.own_path, own_path(*eve.stream.getpeername()[:2]))
    octets = chunk(nobody, ident(), "x", "1-1/1", "$")
    for _ in range(STRAYS):
        eve.write(octets)
    ensure(statuses(eve, STRAYS) == [481] * STRAYS, "who is nobody was found")
    ended(eve, "a stray too many")


def hostile(env):
    """Every attack, with two who talk beside."""
    mrf = Mrf(env, "run", *listeners(4), trace=False)
    alice, bob = Participant(mrf, "alice"), Participant(mrf, "bob")
    bind(alice, bob)
    before = resident_bytes(mrf)
    slow = slow_heads(mrf)
    broken_heads(mrf)
    eve = Participant(mrf, "eve")
    bind(eve)
    for attack in (crumbs, half_messages, repeats, wrappers):
        attack(eve, alice, bob)
        talk_on(alice, bob, eve)
    forgeries(eve)
    talk_on(alice, bob, eve)
    for attack in (faults, strays):
        attack(eve)
        eve = Participant(mrf, "eve")
        bind(eve)
        talk_on(alice, bob, eve)
    grown = resident_bytes(mrf) - before
    ensure(grown < GROWTH_BYTES_MAX, f"{grown >> 20} MiB more than before")
    for stream in slow:
        stream.close()
    for party in (alice, bob, eve):
        party.leave()
    mrf.ensure_alive()
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")


def talk_on(alice, bob, eve):
    """Those who talk beside are none the worse."""
    for sender, *hearers in ((alice, bob, eve), (bob, alice, eve)):
        text = f"still here {ident()}".encode()
        accepted(sender, sender.send(text))
        for party in hearers:
            delivered(party, text)


def checks():
    """Name to function."""
    return [("msrp-hostile", hostile)]
