"""Kamailio's MSRP relay between the participants and the MRFP, whose controller is Erlang/OTP's megaco.

Kamailio parses every frame we make and makes every frame we parse. It sends whatever it relays to us through
one connection, so that both sessions share it, and the participants' paths have two URIs.
"""

import functools
import os
import queue
import socket
import threading

from check_h248 import Controller
from kamailio import Kamailio, fill
from msrp import WAIT_SECONDS, Endpoint, Reader, ident, own_path
from process import ensure, output, poll

MESSAGE_BYTES = 10 << 20
# Kamailio loses bodies above 10,240 octets.
CHUNK_BYTES = 8000
WINDOW_CHUNKS = 32
REPORT_SECONDS = 60


class Relay(Kamailio):
    """Kamailio as an MSRP relay."""

    def __init__(self, env):
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            port, tls_port = (probe.getsockname()[1] for probe in (one, other))
        tls = fill(env, env.path("kamailio-tls.cfg"), CERT=self._certificate(env))
        values = {"PORT": port, "TLSPORT": tls_port, "TLSCONFIG": tls}
        super().__init__(env, fill(env, env.path("kamailio-relay.cfg"), **values), port)

    @staticmethod
    def _certificate(env):
        """A certificate for the relay and its key, in one file."""
        path = os.path.join(env.directory, "relay.pem")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=relay"]
        output([*command, "-keyout", path, "-out", f"{path}.crt"], WAIT_SECONDS)
        with open(path, "ab") as both, open(f"{path}.crt", "rb") as certificate:
            both.write(certificate.read())
        return path


class Behind(Endpoint):
    """A participant behind the relay, which sends what is for it through connections of the relay's own."""

    def __init__(self, relay, scheme):
        self.server = socket.create_server(("127.0.0.1", 0))
        super().__init__(own_path("127.0.0.1", self.server.getsockname()[1]))
        self.relay, self.relay_path = relay, own_path("127.0.0.1", relay.port)
        # The scheme says how the MRFP's hop to the relay is secured.
        hop = self.relay_path.replace("msrp:", f"{scheme}:", 1)
        self.path = f"{hop} {self.own_path}"
        self.reports = queue.Queue()
        threading.Thread(target=self._accept, daemon=True).start()

    def join(self, leg):
        """Connects to the relay; `leg` is the MRFP's URI for this participant."""
        self.peer_path = f"{self.relay_path} {leg}"
        self.connect(("127.0.0.1", self.relay.port))

    def _accept(self):
        while True:
            try:
                stream = self.server.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=[stream], daemon=True).start()

    def _serve(self, stream):
        reader = Reader(stream)
        try:
            while True:
                frame = reader.frame()
                if frame.method == "REPORT":
                    self.reports.put(frame)
                elif frame.method == "SEND":
                    self._received(frame)
        except (EOFError, OSError):
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.error = str(error)

    def close(self):
        super().close()
        self.server.close()

    def send_whole(self, body):
        """Sends a message in chunks with a success REPORT asked for; returns its Message-ID."""
        message_id, waiting = ident(), []
        for first in range(0, len(body), CHUNK_BYTES):
            part = body[first : first + CHUNK_BYTES]
            tid, flag = ident(), "$" if first + len(part) == len(body) else "+"
            head = f"MSRP {tid} SEND\r\nTo-Path: {self.peer_path}\r\nFrom-Path: {self.own_path}\r\n"
            head += f"Message-ID: {message_id}\r\nSuccess-Report: yes\r\n"
            head += f"Byte-Range: {first + 1}-{first + len(part)}/{len(body)}\r\nContent-Type: a/b\r\n\r\n"
            self.write(head.encode() + part + f"\r\n-------{tid}{flag}\r\n".encode())
            waiting.append(tid)
            if len(waiting) == WINDOW_CHUNKS:
                self.accepted(waiting.pop(0))
        for tid in waiting:
            self.accepted(tid)
        return message_id

    def accepted(self, tid):
        """The relay has taken the SEND over."""
        answer = self.response(tid)
        ensure(answer.status == 200, f"SEND answered {answer.status}")


def reaches(sender, recipient):
    """A message gets through; asked until it does, since only that shows that both are bound. What else the
    recipient was sent before, by the controller too, is read with it."""
    word = ident().encode()
    sender.accepted(sender.send(word))
    try:
        while (message := recipient.messages.get(timeout=0.3)) is not None:
            if message.body == word:
                return True
        return False
    except queue.Empty:
        return False


# MSRP-RPT-001, MSRP-RPT-004, MSRP-TX-003, MSRP-CONN-001, MSRP-SEND-007, MSRP-RPT-015.
def large_message(env, reactor, tls):
    """10 MiB in chunks arrive whole, and the sender gets one REPORT on all of it (RFC 4975 7.1.3)."""
    relay = Relay(env)
    alice, bob = (Behind(relay, "msrps" if tls else "msrp") for _ in range(2))
    mgc = Controller(env, "tcp", "compact", 2, "hold", *["tls"] * tls, alice.path, bob.path)
    mrfp = mgc.gateway(env, "--reactor", reactor, *["--msrp", "tls:127.0.0.1:0"] * tls)
    for party, number in ((alice, 1), (bob, 2)):
        party.join(mgc.expect(rf"^leg {number} (\S+)$")[1])
    mgc.expect("^hold$")
    for party in (alice, bob):
        party.accepted(party.send(None))
    poll(lambda: reaches(bob, alice), WAIT_SECONDS, "a message from bob to alice")
    poll(lambda: reaches(alice, bob), WAIT_SECONDS, "a message from alice to bob")
    body = os.urandom(1 << 16) * (MESSAGE_BYTES >> 16)
    message_id = alice.send_whole(body)
    message = bob.message()
    ensure(bytes(message.body) == body, f"{len(message.body)} octets came of {len(body)}, or others")
    for frame in message.frames:
        ensure(frame.get("To-Path") == bob.own_path, f"copy To-Path {frame.get('To-Path')!r}")
    report = alice.reports.get(timeout=REPORT_SECONDS)
    ensure(report.get("Message-ID") == message_id, f"a REPORT on {report.get('Message-ID')!r}")
    ensure(report.get("Status").startswith("000 200"), f"Status {report.get('Status')!r}")
    ensure(report.byte_range() == (1, len(body), len(body)), f"Byte-Range {report.byte_range()}")
    ensure(report.get("To-Path") == alice.own_path, f"REPORT To-Path {report.get('To-Path')!r}")
    ensure(alice.reports.empty(), "more than one REPORT")
    mgc.say("go on")
    mgc.verdict(mrfp)
    mrfp.ensure_alive()
    alice.close()
    bob.close()
    relay.stop()


def checks():
    """Names and functions."""
    for reactor in ("uring", "mio"):
        for tls, name in ((False, "tcp"), (True, "tls")):
            check = functools.partial(large_message, reactor=reactor, tls=tls)
            yield f"relay-large-message-{name}-{reactor}", check
