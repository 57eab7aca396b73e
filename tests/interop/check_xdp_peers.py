"""Peers that no kernel is, against the xdp reactor: see `tcp_by_hand`; the world is that of `check_xdp`."""

import contextlib
import functools
import socket
import sys
import threading
import time

from check_msrp import Participant, accepted, bind, binary, delivered, talk
from check_xdp import HOST, TWENTY, World, inside_main, ip, leave, loaded, outside, syn
from msrp import parse_uri
from process import ensure
from tcp_by_hand import ACK, FIN, RST, SYN, Peer, mac_of

ADDRESS, MAC, OTHER_MAC = "10.99.0.50", "02:00:00:00:00:50", "02:00:00:00:00:51"


def octets_of(mac):
    """A MAC address as it stands in a frame."""
    return bytes.fromhex(mac.replace(":", ""))


def known_at(world, mac):
    """Whoever speaks from `host` finds the peer there."""
    ip("-n", world.names["host"], "neigh", "replace", ADDRESS, "lladdr", mac, "dev", "h0")


class ByHand(Participant):
    """A participant whose TCP is made by hand."""

    def __init__(self, world, mrf, user, **offer):
        with world.inside("host"):
            self.their_mac = mac_of("h0")
        known_at(world, MAC)
        self.offer = offer
        super().__init__(mrf, user)

    def connect(self, address=None):
        """As any endpoint, over another TCP."""
        target = address or parse_uri(self.peer_path)[0]
        ends = {"address": ADDRESS, "mac": octets_of(MAC), "their_mac": self.their_mac}
        return self.attach(Peer(target, **ends, **self.offer).connect())


@contextlib.contextmanager
def pair(env, **offer):
    """A participant by hand, and one on the kernel's TCP, in a conference."""
    with World() as world:
        mrf = world.serve(env)
        alice, bob = ByHand(world, mrf, "alice", **offer), Participant(mrf, "bob")
        bind(alice, bob)
        yield world, mrf, alice, bob
        alice.leave()
        bob.leave()
        leave(mrf)


def odd(env, **offer):
    """Everything as with a usual peer."""
    with pair(env, **offer) as (_, mrf, alice, bob):
        talk(mrf, alice, bob)
        binary(alice, bob, 32768, "text/html")


def stalled(env):
    """A window closes within a message and opens much later: nothing is lost, nobody else waits."""
    with pair(env) as (_, mrf, alice, bob):
        alice.stream.open(0)
        accepted(bob, bob.send(b"x" * 3000))
        before = len(alice.stream.seen)
        alice.stream.wait("three looks", lambda: len(alice.stream.seen) >= before + 3)
        accepted(bob, bob.send(None))
        alice.stream.open(65535)
        delivered(alice, b"x" * 3000)
        talk(mrf, alice, bob)


def forged(env):
    """RST and SYN of somebody who guesses well, but not exactly, end nothing (RFC 5961)."""
    with pair(env) as (_, mrf, alice, bob):
        tcp = alice.stream
        for distance in (1, 100, 30_000, 60_000, -1, -70_000):
            tcp.send(RST, seq=tcp.end + distance)
            tcp.send(SYN, seq=tcp.end + distance)
            tcp.send(ACK, b"forged", seq=tcp.end, ack=tcp.next + 100_000 & 0xFFFFFFFF)
        tcp.send(SYN, seq=tcp.end)
        talk(mrf, alice, bob)


def reset(env):
    """RST in the middle of a message: the other participant goes on."""
    with World() as world:
        mrf = world.serve(env)
        alice, bob, carol = ByHand(world, mrf, "alice"), Participant(mrf, "bob"), Participant(mrf, "carol")
        bind(alice, bob, carol)
        alice.stream.open(1000)
        tid = bob.send(b"x" * 30_000)
        alice.stream.send(RST, seq=alice.stream.end)
        accepted(bob, tid)
        delivered(carol, b"x" * 30_000)
        talk(mrf, bob, carol)
        for one in (alice, bob, carol):
            one.leave()
        leave(mrf)


def fragmented(env):
    """The kernel, to whom fragments go, does not answer them for us: what comes whole later is taken."""
    with pair(env) as (_, mrf, alice, bob):
        for _ in range(3):
            alice.stream.fragmented = 1
            binary(alice, bob, 1000, "text/html")
        talk(mrf, alice, bob)


def moved(env):
    """The peer goes to another MAC address while it only listens, as when one router takes over from another."""
    with pair(env) as (world, mrf, alice, bob):
        binary(bob, alice, 2000, "text/html")
        alice.stream.mac = octets_of(OTHER_MAC)
        known_at(world, OTHER_MAC)
        binary(bob, alice, 2000, "text/html")
        talk(mrf, alice, bob)


def readdressed(env):
    """The interface loses its address, and gets it again: who is connected stays so."""
    with pair(env) as (world, mrf, alice, bob):
        address = [f"{HOST}/24", "dev", "h0"]
        for change in ("del", "add"):
            ip("-n", world.names["host"], "addr", change, *address)
            binary(bob, alice, 2000, "text/html")
            binary(alice, bob, 2000, "text/html")
        talk(mrf, alice, bob)


def closed_at_once(env):
    """Both ends end at the same time; then the same ports are used again at once."""
    with World() as world:
        mrf = world.serve(env)
        bob, port = Participant(mrf, "bob"), None
        bind(bob)
        for _ in range(3):
            alice = ByHand(world, mrf, "alice", port=port)
            bind(alice)
            binary(bob, alice, 2000, "text/html")
            tcp = alice.stream
            port, tcp.answers = tcp.port, False
            alice.agent.bye()
            tcp.wait("a FIN", lambda tcp=tcp: tcp.is_ended)
            # As if sent before theirs was heard.
            tcp.send(FIN | ACK, ack=tcp.next - 1 & 0xFFFFFFFF)
            tcp.end = tcp.end + 1 & 0xFFFFFFFF
            tcp.wait("an acknowledgement of FIN", lambda tcp=tcp: tcp.una == tcp.end)
            tcp.send(ACK)
            tcp.close()
        bob.leave()
        leave(mrf)


@contextlib.contextmanager
def flood(mrf):
    """SYN of others' addresses, many thousand a second."""
    port, is_over, count = mrf.address("msrp")[1], threading.Event(), 0
    ip("route", "add", "blackhole", "198.18.0.0/15")
    packets = [syn(f"198.18.{number >> 8}.{number & 255}", port, HOST, number) for number in range(500)]
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def run():
        nonlocal count
        while not is_over.is_set():
            for one in packets:
                with contextlib.suppress(OSError):
                    raw.sendto(one, (HOST, 0))
                    count += 1
            time.sleep(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        raw.close()
    ensure(count > 10 * len(packets), f"no flood: {count}")


CHECKS = {
    "xdp-peer-unscaled": functools.partial(odd, window=4000),
    "xdp-peer-tiny-window": functools.partial(odd, window=100),
    "xdp-peer-shifted": functools.partial(odd, window=1000, shift=7),
    "xdp-peer-small-segments": functools.partial(odd, segment_bytes=100),
    "xdp-peer-stalled": stalled,
    "xdp-peer-forged": forged,
    "xdp-peer-reset": reset,
    "xdp-peer-fragmented": fragmented,
    "xdp-peer-moved": moved,
    "xdp-peer-readdressed": readdressed,
    "xdp-peer-closed-at-once": closed_at_once,
    "xdp-peer-flood": functools.partial(loaded, flags=TWENTY, meanwhile=flood),
}


def checks():
    """Names and functions."""
    for name in CHECKS:
        yield name, functools.partial(outside, name=name, file="check_xdp_peers.py")


if __name__ == "__main__":
    sys.exit(inside_main(CHECKS))
