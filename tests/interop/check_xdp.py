"""The xdp reactor against the kernel's TCP: two network namespaces joined by a veth pair.

    guest ── veth ── host            participants are kernel TCP in `guest`, `mrf` runs on xdp in `host`
    guest ── veth ── wire ── veth ── host     a relay of this program loses, repeats, reorders, delays

Each check is a process of its own (`python3 check_xdp.py NAME MRF DIRECTORY`), as root, for it moves from
namespace to namespace.
"""

import contextlib
import ctypes
import errno
import fcntl
import functools
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from check_msrp import Participant, bind, binary, seed_message, talk
from msrp import Endpoint
from process import Failure, Mrf, Process, ensure, output, poll, stop_all
from sip import Agent, attribute, offer

HOST, GUEST = "10.99.0.2", "10.99.0.1"
HOST6, GUEST6 = "fd99::2", "fd99::1"
CHECK_SECONDS = 120
CLONE_NEWNET = 0x40000000
SIOCETHTOOL = 0x8946


def ip(*words):
    """Runs ip(8)."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    ensure(done.returncode == 0, f"ip {' '.join(words)}: {done.stderr.strip()}")


def ethtool(interface, command, value):
    """Switches an offload of an interface of the current namespace."""
    data = ctypes.create_string_buffer(struct.pack("II", command, value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), ctypes.addressof(data)))


class World:
    """The namespaces; `guest` is entered, and all is taken down at the end."""

    def __init__(self, mtu=1500, queues=1, wired=False):
        self.mtu, self.queues, self.wired = mtu, queues, wired
        tag = f"mrf{os.getpid()}"
        self.names = {one: f"{tag}{one}" for one in ("guest", "host", "wire")}
        self.libc = ctypes.CDLL(None, use_errno=True)

    def __enter__(self):
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        for name in self.names.values():
            ip("netns", "add", name)
        far = "wire" if self.wired else "host"
        self.pair("guest", "g0", far, "w0" if self.wired else "h0")
        if self.wired:
            self.pair("wire", "w1", "host", "h0")
        for name, link, v4, v6 in (("guest", "g0", GUEST, GUEST6), ("host", "h0", HOST, HOST6)):
            name = self.names[name]
            ip("-n", name, "addr", "add", f"{v4}/24", "dev", link)
            ip("-n", name, "addr", "add", f"{v6}/64", "dev", link, "nodad")
            ip("-n", name, "link", "set", "lo", "up")
        self.enter("guest")
        if self.wired:
            # What is relayed must be whole: no checksum and no segmentation left to a device.
            for name in ("guest", "host"):
                with self.inside(name):
                    for command in (0x17, 0x1F, 0x24):
                        ethtool(name[0] + "0", command, 0)
        return self

    def pair(self, one, link, other, peer):
        """A veth pair between two namespaces, up."""
        queues = ["numrxqueues", str(self.queues), "numtxqueues", str(self.queues)]
        size = ["mtu", str(self.mtu)]
        ip(*("-n", self.names[one], "link", "add", link, *size, *queues, "type", "veth", "peer", "name", peer),
           *(*size, *queues, "netns", self.names[other]))
        ip("-n", self.names[one], "link", "set", link, "up")
        ip("-n", self.names[other], "link", "set", peer, "up")

    def __exit__(self, *_):
        self.set(self.home)
        stop_all()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def set(self, fd):
        """Moves this thread."""
        ensure(self.libc.setns(fd, CLONE_NEWNET) == 0, f"setns: {os.strerror(ctypes.get_errno())}")

    def enter(self, name):
        """Moves this thread, and what it starts, into a namespace."""
        fd = os.open(f"/run/netns/{self.names[name]}", os.O_RDONLY)
        self.set(fd)
        os.close(fd)

    @contextlib.contextmanager
    def inside(self, name):
        """As `enter`, for a while; then back to `guest`."""
        self.enter(name)
        try:
            yield
        finally:
            self.enter("guest")

    def serve(self, env, *flags, host=HOST, command="run", transport="tcp"):
        """`mrf run` on xdp in `host`."""
        at = f"[{host}]" if ":" in host else host
        listener = f"{at}:0" if transport == "tcp" else f"{transport}:{at}:0"
        words = ["--msrp", listener, "--http", "off", "--shards", str(self.queues)]
        words += ["--h248", f"udp:{at}:0", "--reactor", "xdp", "--xdp-if", "h0"]
        words += ["--sip", f"udp:{at}:0"] if command == "run" else []
        with self.inside("host"):
            mrf = Mrf(env, command, *words, *flags)
        ensure(mrf.ready["reactor"] == ["xdp"], f"{mrf.ready}")
        return mrf


class Relay:
    """Carries frames between the two interfaces of `wire`, not too well."""

    def __init__(self, world, loss=0.0, repeat=0.0, late=0.0, delay=0.0, narrow=None):
        self.faults, self.delay = (loss, repeat, late), delay
        # Octets of the largest frame that gets from `host` to `guest`.
        self.narrow = narrow
        self.random = random.Random(1)
        self.counts = {"lost": 0, "repeated": 0, "late": 0, "swallowed": 0}
        with world.inside("wire"):
            self.ends = [self.open(link) for link in ("w0", "w1")]
        threading.Thread(target=self.run, daemon=True).start()

    @staticmethod
    def open(link):
        """All frames of an interface."""
        one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        one.bind((link, 0))
        return one

    def run(self):
        """Until the namespaces go."""
        with contextlib.suppress(OSError):
            self.carry()

    def carry(self):
        """Frame by frame, each at its time."""
        loss, repeat, late = self.faults
        order, flying = 0, []
        while True:
            now = time.monotonic()
            while flying and flying[0][0] <= now:
                _, _, to, frame = heapq.heappop(flying)
                with contextlib.suppress(OSError):
                    self.ends[to].send(frame)
            wait = flying[0][0] - now if flying else None
            for ready in select.select(self.ends, [], [], wait)[0]:
                frame, address = ready.recvfrom(70000)
                if address[2] == socket.PACKET_OUTGOING:
                    continue
                if self.random.random() < loss:
                    self.counts["lost"] += 1
                    continue
                if self.narrow and ready is self.ends[1] and len(frame) > self.narrow:
                    self.counts["swallowed"] += 1
                    continue
                at, copies = now + self.delay, 1
                if self.random.random() < repeat:
                    self.counts["repeated"] += 1
                    copies = 2
                if self.random.random() < late:
                    self.counts["late"] += 1
                    at += self.random.uniform(0.001, 0.004)
                for _ in range(copies):
                    order += 1
                    heapq.heappush(flying, (at, order, 1 - self.ends.index(ready), frame))


def converse(env, world, *flags, host=HOST, what=talk):
    """Two participants; the whole of what they do elsewhere."""
    mrf = world.serve(env, *flags, host=host)
    alice, bob = Participant(mrf, "alice"), Participant(mrf, "bob")
    bind(alice, bob)
    what(mrf, alice, bob)
    alice.leave()
    bob.leave()
    leave(mrf)


def leave(mrf):
    """SIGTERM, and a clean end."""
    mrf.ensure_alive()
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")


def plain(env, host=HOST, mtu=1500, queues=1):
    """Everything as on any other reactor."""
    with World(mtu=mtu, queues=queues) as world:
        converse(env, world, host=host)


def active(env):
    """The MRFP connects to participants who want to be connected to."""
    with World() as world:
        mrf = world.serve(env)
        parties, agents = [], []
        for user in ("alice", "bob"):
            server = socket.create_server((GUEST, 0))
            server.settimeout(20)
            port = server.getsockname()[1]
            path = f"msrp://{GUEST}:{port}/{user}0123456789abcdef;tcp"
            agent = Agent("udp", mrf.address("sip.udp"), user)
            answer = agent.invite("sip:lobby@home2.example", offer(path, GUEST, port, setup="passive"))
            ensure(answer.status == 200, f"INVITE answered {answer.status}; {mrf.tail()}")
            ensure(attribute(answer.body, "setup") == "active", f"not active: {answer.body}")
            party = Endpoint(path, attribute(answer.body, "path")).attach(server.accept()[0])
            ensure(party.message().frames[0].body is None, "the binding SEND has a body")
            parties.append(party)
            agents.append(agent)
        for sender, recipient in (parties, parties[::-1]):
            seed_message(sender, recipient)
            binary(sender, recipient, 32768, "text/html")
        for agent in agents:
            agent.bye()
        leave(mrf)


def impaired(env, **faults):
    """A wire that is not perfect; it must have been so."""
    with World(wired=True) as world:
        relay = Relay(world, **faults)

        def more(mrf, alice, bob):
            talk(mrf, alice, bob)
            for _ in range(8):
                binary(alice, bob, 32768, "text/html")
                binary(bob, alice, 32768, "text/html")

        converse(env, world, what=more)
        for name, fault in (("lost", "loss"), ("repeated", "repeat"), ("late", "late"), ("swallowed", "narrow")):
            ensure(not faults.get(fault) or relay.counts[name] > 0, f"nothing was {name}")


def down_and_up(env):
    """The link goes away and comes back: the same connections go on."""

    def interrupted(mrf, alice, bob):
        seed_message(alice, bob)
        # In `guest` the addresses stay: kernels drop IPv6 ones with the link, IPv4 ones not.
        ip("link", "set", "g0", "down")
        time.sleep(0.3)
        ip("link", "set", "g0", "up")
        seed_message(bob, alice)
        name = world.names["host"]
        ip("-n", name, "link", "set", "h0", "down")
        time.sleep(0.3)
        ip("-n", name, "link", "set", "h0", "up")
        binary(alice, bob, 32768, "text/html")
        binary(bob, alice, 32768, "text/html")

    with World() as world:
        converse(env, world, what=interrupted)


def loaded(env, flags, transport="tcp", meanwhile=contextlib.nullcontext):
    """Conferences of the load generator, every delivery verified; H.248 shares the interface."""
    with World() as world:
        mrf = world.serve(env, command="mrfp", transport=transport)
        target = "udp:{}:{}".format(*mrf.address("h248.udp"))
        load = [env.mrf, "load", "--via", "h248", "--target", target, "--transport", transport]
        load += ["--duration", "3s", *flags]
        with meanwhile(mrf):
            child = Process("load", load, env.directory)
            lines = child.rest(CHECK_SECONDS)
        ensure(child.exit_code() == 0, f"exit {child.child.returncode}: {lines[-6:]}; {child.tail()}; {mrf.tail()}")
        leave(mrf)


def syn(source, port, target, number):
    """A SYN without end, as an IPv4 packet."""
    tcp = struct.pack("!HHIIBBHHH", 1024 + number % 60000, port, number, 0, 0x50, 2, 64000, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, 20)
    words = struct.unpack(f"!{(len(pseudo) + 20) // 2}H", pseudo + tcp)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    tcp = tcp[:16] + struct.pack("!H", ~total & 0xFFFF) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0)
    return head + socket.inet_aton(source) + socket.inet_aton(target) + tcp


def half_open(env):
    """10,000 handshakes that nobody goes on with; participants before and after do not notice."""
    with World() as world:
        mrf = world.serve(env)
        alice = Participant(mrf, "alice")
        port = mrf.address("msrp")[1]
        # Their answers go to a place that does not answer.
        ip("route", "add", "blackhole", "198.18.0.0/15")
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for number in range(10_000):
                source = f"198.18.{number >> 8 & 255}.{number & 255}"
                with contextlib.suppress(BlockingIOError):
                    raw.sendto(syn(source, port, HOST, number), (HOST, 0))
        bob = Participant(mrf, "bob")
        bind(alice, bob)
        talk(mrf, alice, bob)
        alice.leave()
        bob.leave()
        leave(mrf)


def killed(env):
    """After SIGKILL the interface is the kernel's again, and a new MRFP can have it at once."""
    with World() as world:
        mrf = world.serve(env)
        alice = Participant(mrf, "alice")
        bind(alice)
        host, port = mrf.address("msrp")
        mrf.stop(signal.SIGKILL)
        with world.inside("host"):
            server = socket.create_server((host, port))

        def answered():
            with contextlib.suppress(OSError):
                socket.create_connection((host, port), 1).close()
                return True
            return False

        poll(answered, 10, "a connection to the kernel's own listener")
        server.close()
        converse(env, world)


def others(env):
    """What is not for the MRFP reaches the kernel: TCP on another port and address, UDP, a refusal."""
    with World() as world:
        ip("-n", world.names["host"], "addr", "add", "10.99.0.9/24", "dev", "h0")
        mrf = world.serve(env)
        port = mrf.address("msrp")[1]
        for address in ((HOST, 0), ("10.99.0.9", port)):
            with world.inside("host"):
                server = socket.create_server(address)
            client = socket.create_connection(server.getsockname(), 5)
            inner = server.accept()[0]
            client.sendall(b"ssh")
            ensure(inner.recv(3) == b"ssh", "octets through the kernel")
            for one in (client, inner, server):
                one.close()
        with world.inside("host"):
            try:
                socket.create_server((HOST, port))
                raise Failure("another program got the port")
            except OSError as error:
                ensure(error.errno == errno.EADDRINUSE, f"{error}")
        try:
            socket.create_connection((HOST, 1), 5)
            raise Failure("a connection to a closed port")
        except ConnectionRefusedError:
            pass
        leave(mrf)


def refusals(env):
    """What is missing is named, with exit code 1."""
    with World() as world:
        ip("-n", world.names["host"], "link", "add", "idle", "type", "veth", "peer", "name", "idle-peer")
        for words, wanted in (
            ([], "needs an interface: --xdp-if IF"),
            (["--xdp-if", "nothing0"], 'there is no interface "nothing0"'),
            (["--xdp-if", "idle"], "interface idle is down"),
            (["--xdp-if", "h0", "--msrp", "10.1.1.1:0"], "10.1.1.1 is not an address of interface h0"),
            (["--xdp-if", "h0", "--msrp", f"{HOST}:0", "--shards", "3"], "1 receive queue(s) for 3 shards"),
        ):
            refused(env, world, [], words, wanted)
        unable = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
        words = ["--xdp-if", "h0", "--msrp", f"{HOST}:0"]
        refused(env, world, unable, words, "CAP_NET_RAW")
        mrf = world.serve(env)
        refused(env, world, [], words, "another program has this interface")
        leave(mrf)


def refused(env, world, before, words, wanted):
    """`mrf mrfp` with these flags ends with code 1 and says why."""
    command = [*before, env.mrf, "mrfp", "--http", "off", "--h248", "udp:127.0.0.1:0", "--reactor", "xdp"]
    with world.inside("host"):
        child = Process("refused", [*command, *words], env.directory)
    code = child.exit_code()
    ensure(code == 1 and wanted in child.tail(), f"{words}: exit {code}, {child.tail()}")


def loopback(env):
    """Generic mode, on the one interface that has nothing else: the checks of the other reactors, as they are."""
    with World() as world:
        world.enter("host")
        for name in ("route_localnet", "accept_local"):
            with open(f"/proc/sys/net/ipv4/conf/lo/{name}", "w", encoding="ascii") as file:
                file.write("1")
        variables = {**os.environ, "MRF_REACTOR": "xdp", "MRF_XDP_IF": "lo", "MRF_TEST_SHARDS": "1"}
        checks = os.path.join(env.here, "checks.py")
        command = [sys.executable, "-B", checks, "--mrf", env.mrf, *LOOPBACK]
        child = Process("loopback", command, env.directory, env=variables)
        lines = child.rest(CHECK_SECONDS)
        ensure(child.exit_code() == 0, f"{[line for line in lines if not line.startswith('PASS')]}; {child.tail()}")


LOOPBACK = ["msrp-talk-ipv", "msrp-talk-sip-tcp", "msrp-bodiless", "msrp-unknown-session", "msrp-second"]
LOOPBACK += ["msrp-notices", "flow-a"]

TWO_THOUSAND = ["--conferences", "100", "--participants", "20", "--size", "1000", "--rate", "100"]
TWENTY = ["--conferences", "2", "--participants", "10", "--size", "5000", "--rate", "20"]

CHECKS = {
    "xdp-talk-ipv4": plain,
    "xdp-talk-ipv6": functools.partial(plain, host=HOST6),
    "xdp-jumbo": functools.partial(plain, mtu=9000),
    "xdp-two-queues": functools.partial(plain, queues=2),
    "xdp-active": active,
    "xdp-loss": functools.partial(impaired, loss=0.02),
    "xdp-reorder": functools.partial(impaired, late=0.1, delay=0.001),
    "xdp-repeat": functools.partial(impaired, repeat=0.1),
    "xdp-delay": functools.partial(impaired, delay=0.02),
    "xdp-narrow": functools.partial(impaired, narrow=1214),
    "xdp-down-up": down_and_up,
    "xdp-half-open": half_open,
    "xdp-killed": killed,
    "xdp-others": others,
    "xdp-refusals": refusals,
    "xdp-tls": functools.partial(loaded, flags=TWENTY, transport="tls"),
    "xdp-ws": functools.partial(loaded, flags=TWENTY, transport="ws"),
    "xdp-wss": functools.partial(loaded, flags=TWENTY, transport="wss"),
    "xdp-sessions": functools.partial(loaded, flags=TWO_THOUSAND),
    "xdp-generic": loopback,
}


def outside(env, name, file="check_xdp.py"):
    """Runs a check in a process of its own, as root."""
    elevate = [] if os.geteuid() == 0 else ["sudo", "-n", "-E"]
    command = [*elevate, sys.executable, "-B", env.path(file), name, env.mrf, env.directory]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS * 2, check=False)
    if done.returncode != 0:
        raise Failure((done.stdout + done.stderr).strip())


def built(env, build):
    """Has cargo build a program as whoever runs this; where it is."""
    told = output(["cargo", *build, "--locked", "--message-format", "json"], SUITE_SECONDS)
    told = [json.loads(line) for line in told.splitlines()]
    [program] = [one["executable"] for one in told if one.get("executable")]
    return program


def succeed(env, command):
    """Runs a program of cargo's to its good end; what it wrote on stdout."""
    child = Process("built", command, env.directory)
    lines = child.rest(SUITE_SECONDS)
    ensure(child.exit_code() == 0, f"{[line for line in lines if not line.endswith('ok')]}; {child.tail()}")
    return lines


def as_root(env, build, *words):
    """Has cargo build a program as whoever runs this, and runs it as root; what it wrote on stdout."""
    elevate = [] if os.geteuid() == 0 else ["sudo", "-n", "-E"]
    return succeed(env, [*elevate, built(env, build), *words])


def suite(env):
    """The suite of the other reactors (engine/reactor/tests/suite), and what only queues can show."""
    as_root(env, ["test", "-p", "mrf-reactor", "--test", "xdp", "--no-run"])


def transports(env):
    """The MRFP's own tests of each transport (engine/mrfp/tests/transports), on two shards."""
    os.environ["MRF_TRANSPORTS"] = built(env, ["test", "-p", "mrf-mrfp", "--test", "transports", "--no-run"])
    outside(env, "transports-as-root")


def transports_as_root(env):
    """What `transports` built, between two networks; one test after the other, for a queue serves one process."""
    with World(queues=2) as world:
        os.environ["MRF_XDP_PLACE"] = f"h0 {HOST} {GUEST} /run/netns/{world.names['guest']}"
        with world.inside("host"):
            succeed(env, [os.environ["MRF_TRANSPORTS"], "--test-threads", "1"])


def compared(env):
    """One command measures all reactors over the same veth pair; every delivery is verified."""
    words = ["--quick", "--no-sweeps", "--reactors", "uring,mio,xdp", "--scenarios", "ten,pair-paced"]
    [page] = as_root(env, ["build", "-p", "mrf-perf", "--bin", "compare"], *words, "--out", env.directory)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for one in ("| `ten` | xdp |", "| `pair-paced` | uring, polling", "| `pair-paced` | xdp, polling"):
        ensure(one in text, f"no row {one} in {text}")
    ensure("## Not measured" not in text and "runs with faults" not in text, text)


SUITE_SECONDS = 600


def checks():
    """Names and functions."""
    for name in CHECKS:
        yield name, functools.partial(outside, name=name)
    yield "xdp-suite", suite
    yield "xdp-transports", transports
    yield "xdp-compare", compared


def inside_main(known):
    """One of the checks that are known, from the inside."""
    name, mrf, directory = sys.argv[1:]
    from checks import Environment

    try:
        known[name](Environment(mrf, directory))
    except Failure as failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(inside_main({**CHECKS, "transports-as-root": transports_as_root}))
