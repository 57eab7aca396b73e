"""tshark reads everything that one conference put on the wire, and finds nothing malformed."""

import os
import signal
import socket

from check_msrp import NotReady, Participant, bind, seed_message, three_chunks
from check_sip import has_ipv6, listeners, without
from msrp import ident
from process import Mrf, Process, ensure, output, poll

CAPTURE_SECONDS = 20
TSHARK_SECONDS = 120
# What one conference of two surely puts on the wire, per protocol.
PACKETS_MIN = {"sip": 8, "megaco": 8, "msrp": 8}


class Capture(Process):
    """dumpcap on loopback, for some ports and a port of its own that tells when it is at work."""

    def __init__(self, env, name, ports):
        self.file = os.path.join(env.directory, f"{name}.pcapng")
        self.probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.probe.bind(("127.0.0.1", 0))
        own = self.probe.getsockname()[1]
        wanted = " or ".join(f"port {port}" for port in [own, *ports])
        command = ["dumpcap", "-q", "-i", "lo", "-f", wanted, "-w", self.file]
        super().__init__(f"dumpcap-{name}", command, env.directory)
        self.mark()

    def mark(self):
        """Waits until a packet sent now is in the file: so is everything before it."""
        word = f"mark-{ident()}".encode()

        def written():
            self.probe.sendto(word, self.probe.getsockname())
            if not os.path.exists(self.file):
                return False
            with open(self.file, "rb") as capture:
                return word in capture.read()

        poll(written, CAPTURE_SECONDS, f"{self.name} to capture")

    def close(self):
        """Ends the capture with everything written; returns the file."""
        self.mark()
        self.stop(signal.SIGINT)
        self.probe.close()
        return self.file


def tshark(file, decode, condition, *fields):
    """Rows of the packets that match `condition`."""
    command = ["tshark", "-n", "-r", file, "-Y", condition, "-T", "fields", "-e", "frame.number"]
    for field in fields:
        command += ["-e", field]
    for rule in decode:
        command += ["-d", rule]
    return output(command, TSHARK_SECONDS).splitlines()


def judge(file, decode, counts):
    """Nothing malformed, nothing of severity error, and as many packets of each protocol as due."""
    wrong = '_ws.malformed or _ws.expert.severity == "Error"'
    bad = tshark(file, decode, wrong, "_ws.col.Protocol", "_ws.expert.message", "_ws.col.Info")
    ensure(not bad, f"{len(bad)} bad packets: {bad[:5]}")
    for protocol in counts:
        found = len(tshark(file, decode, protocol))
        ensure(found >= PACKETS_MIN[protocol], f"only {found} packets of {protocol}")


def wire(env, h248, sip, loopback="127.0.0.1"):
    """A controller and an MRFP apart, so that registration is in the capture too."""
    flags = without(listeners(), "--msrp", "--shards") + ["--h248", f"sctp:{loopback}:0"]
    mrfc = Mrf(env, "mrfc", *flags, "--create-on-join", "on")
    sip_port, h248_port = mrfc.address(f"sip.{sip}")[1], mrfc.address(f"h248.{h248}")[1]
    control = Capture(env, "control", [sip_port, h248_port])
    mgc = f"{h248}:{loopback}:{h248_port}"
    mrfp = Mrf(env, "mrfp", "--mgc", mgc, "--msrp", "127.0.0.1:0", "--http", "off", "--shards", "2")
    media_port = mrfp.address("msrp")[1]
    media = Capture(env, "media", [media_port])
    mrfc.ready["msrp"] = mrfp.ready["msrp"]
    alice = poll(lambda: joined(mrfc, "alice", sip), CAPTURE_SECONDS, "the MRFP's registration")
    bob = Participant(mrfc, "bob", sip)
    bind(alice, bob)
    seed_message(alice, bob)
    three_chunks(bob, alice)
    alice.leave()
    bob.leave()
    # SCTP comes in UDP; that it carries H.248 is for the payload protocol identifier to say.
    carries = f"udp.port=={h248_port},sctp" if h248 == "sctp" else f"{h248}.port=={h248_port},megaco"
    rules = [f"{sip}.port=={sip_port},sip", carries]
    mrfc.ensure_alive()
    mrfp.ensure_alive()
    judge(control.close(), rules, ["sip", "megaco"])
    judge(media.close(), [f"tcp.port=={media_port},msrp"], ["msrp"])


def joined(mrfc, user, transport):
    """A participant, or `None` as long as the MRFP has not registered."""
    try:
        return Participant(mrfc, user, transport)
    except NotReady:
        return None


def checks():
    """Names and functions."""
    yield "wire-h248-udp-sip-udp", lambda env: wire(env, "udp", "udp")
    yield "wire-h248-tcp-sip-tcp", lambda env: wire(env, "tcp", "tcp")
    yield "wire-h248-sctp-sip-udp", lambda env: wire(env, "sctp", "udp")
    if has_ipv6():
        yield "wire-h248-sctp6-sip-udp", lambda env: wire(env, "sctp", "udp", "[::1]")
