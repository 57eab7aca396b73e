"""A TCP peer made by hand, frame by frame: it offers, sends and stays silent as a check wants, which no kernel does.

It lives in `guest` (see check_xdp) at an address and a MAC address that the kernel there does not have, so that nobody
else answers. It takes octets in order only, and repeats what is not acknowledged.
"""

import contextlib
import random
import select
import socket
import struct
import threading
import time

from process import Failure, ensure

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
WAIT_SECONDS = 20
AGAIN_SECONDS = 0.3


def mac_of(link):
    """The MAC address of a link of this namespace."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as one:
        one.bind((link, 0))
        return one.getsockname()[4]


def checksum(octets):
    """The Internet checksum."""
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(ends, numbers, flags, window, options=b"", payload=b""):
    """An IPv4 packet with a TCP segment; `ends` are (address, port) of source and target."""
    (source, sport), (target, tport) = ends
    size = 20 + len(options)
    tcp = struct.pack("!HHIIBBHHH", sport, tport, *numbers, size << 2, flags, window, 0, 0) + options + payload
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    return header(source, target, len(tcp), random.randrange(1 << 16)) + tcp


def header(source, target, octets, number, fragment=0):
    """An IPv4 header; `fragment` holds flags and offset."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + octets, number, fragment, 64, 6, 0)
    head += socket.inet_aton(source) + socket.inet_aton(target)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]


class Peer:
    """One connection; looks enough like a socket for `msrp.Endpoint`."""

    def __init__(self, target, address="10.99.0.50", port=None, **offer):
        self.target, self.address = target, address
        self.port = port or random.randrange(20000, 60000)
        self.segment_bytes = offer.get("segment_bytes", 1460)
        # What is offered, as it stands in the header.
        self.window = offer.get("window", 65535)
        self.shift = offer.get("shift")
        # So many segments are sent in fragments.
        self.fragmented = 0
        self.their_mac, self.mac = offer["their_mac"], offer.get("mac", bytes.fromhex("020000000050"))
        self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.raw.bind(("g0", 0))
        # Ours: the first that is not acknowledged, the next; theirs: the next that is expected.
        self.una = self.end = random.randrange(1 << 32)
        self.next = None
        self.buffer, self.changed = bytearray(), threading.Condition()
        self.seen, self.is_reset, self.is_ended, self.is_open = [], False, False, False
        # Whether segments are answered.
        self.answers = True
        self.is_stopped = False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        """Takes frames for this end."""
        with contextlib.suppress(OSError, ValueError):
            while not self.is_stopped:
                if select.select([self.raw], [], [], 0.2)[0]:
                    frame, about = self.raw.recvfrom(70000)
                    if about[2] != socket.PACKET_OUTGOING and frame[:6] == self.mac:
                        self.take(frame[14:])

    def take(self, octets):
        """One IP packet."""
        head = (octets[0] & 15) * 4
        total = struct.unpack("!H", octets[2:4])[0]
        tcp = octets[head:total]
        sport, tport, seq, ack, words, flags, _ = struct.unpack("!HHIIBBH", tcp[:16])
        if octets[9] != 6 or (sport, tport) != (self.target[1], self.port):
            return
        payload = tcp[(words >> 4) * 4 :]
        with self.changed:
            self.seen.append((seq, ack, flags, len(payload)))
            if flags & RST:
                self.is_reset = True
            elif flags & SYN:
                self.next = seq + 1 & 0xFFFFFFFF
                self.una = ack
                self.is_open = True
                self.send(ACK)
            elif self.next is not None:
                if ack - self.una & 0xFFFFFFFF <= self.end - self.una & 0xFFFFFFFF:
                    self.una = ack
                self.take_octets(seq, flags, payload)
            self.changed.notify_all()

    def take_octets(self, seq, flags, payload):
        """Octets in order, as far as there is room for them."""
        room = self.window << (self.shift or 0)
        new = self.next - seq & 0xFFFFFFFF
        if new <= len(payload):
            taken = payload[new:][:room]
            self.buffer += taken
            self.next = self.next + len(taken) & 0xFFFFFFFF
            if flags & FIN and new + len(taken) == len(payload) and not self.is_ended:
                self.next = self.next + 1 & 0xFFFFFFFF
                self.is_ended = True
                if self.answers:
                    self.send(ACK)
                return
        if payload and self.answers:
            self.send(ACK)

    def send(self, flags, payload=b"", seq=None, options=b"", ack=None):
        """One segment."""
        ends = (self.address, self.port), self.target
        ack = (self.next or 0) if ack is None else ack
        numbers = (self.end if seq is None else seq) & 0xFFFFFFFF, ack if flags & ACK else 0
        self.emit(packet(ends, numbers, flags, self.window, options, payload))

    def emit(self, whole):
        """One packet, perhaps in fragments."""
        pieces, size = [whole], 64
        if self.fragmented and len(whole) > 20 + size:
            self.fragmented -= 1
            number, body = random.randrange(1 << 16), whole[20:]
            pieces = []
            for at in range(0, len(body), size):
                piece = body[at : at + size]
                more = 0x2000 if at + size < len(body) else 0
                pieces.append(header(self.address, self.target[0], len(piece), number, more | at // 8) + piece)
        for piece in pieces:
            self.raw.send(self.their_mac + self.mac + b"\x08\0" + piece)

    def wait(self, what, until, seconds=WAIT_SECONDS, again=None):
        """Until something holds; `again` is done now and then."""
        end = time.monotonic() + seconds
        with self.changed:
            while not until():
                ensure(not self.is_reset, f"{what}: reset")
                if time.monotonic() > end:
                    raise Failure(f"{what}: not within {seconds} s; last {self.seen[-5:]}")
                if not self.changed.wait(AGAIN_SECONDS) and again:
                    again()

    def connect(self):
        """The handshake."""
        options = struct.pack("!BBH", 2, 4, self.segment_bytes)
        if self.shift is not None:
            options += struct.pack("!BBBB", 1, 3, 3, self.shift)
        first = self.end
        self.end = first + 1 & 0xFFFFFFFF

        def begin():
            self.send(SYN, seq=first, options=options)

        begin()
        self.wait("the handshake", lambda: self.is_open, again=begin)
        return self

    def sendall(self, octets):
        """Octets, until all are acknowledged."""
        for at in range(0, len(octets), 32 * 1024):
            part = octets[at : at + 32 * 1024]
            first = self.end
            self.end = first + len(part) & 0xFFFFFFFF

            def offer():
                done = self.una - first & 0xFFFFFFFF
                done = done if done <= len(part) else 0
                for place in range(done, len(part), self.segment_bytes):
                    self.send(ACK | PSH, part[place : place + self.segment_bytes], seq=first + place)

            offer()
            self.wait("an acknowledgement", lambda: self.una == self.end, again=offer)

    def recv(self, count):
        """Octets that came; nothing at the end."""
        with self.changed:
            while not self.buffer and not self.is_ended:
                if self.is_reset or self.is_stopped:
                    raise ConnectionResetError
                self.changed.wait(0.2)
            octets = bytes(self.buffer[:count])
            del self.buffer[:count]
            return octets

    def open(self, window):
        """Another window from now on."""
        with self.changed:
            self.window = window
            self.send(ACK)

    def settimeout(self, _):
        """As a socket's."""

    def setsockopt(self, *_):
        """As a socket's."""

    def shutdown(self, _):
        """Sends the end."""
        if self.is_open and not self.is_reset:
            self.send(FIN | ACK)
            self.end = self.end + 1 & 0xFFFFFFFF

    def close(self):
        """Hears nothing any more."""
        self.is_stopped = True
