"""A SIP user agent (RFC 3261), as much as joining a conference and being told of its end takes."""

import re
import socket
import time

from msrp import ident
from process import Failure, ensure, join_address

FINAL_SECONDS = 20
T1_SECONDS = 0.5
DATAGRAM_BYTES_MAX = 65535


class Message:
    """One request or response: method or status, headers in order, body."""

    def __init__(self, head, body):
        rows = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        found = re.fullmatch(r"SIP/2\.0 (\d{3}) .*|([A-Z]+) \S+ SIP/2\.0", rows[0])
        ensure(found, f"bad start line {rows[0]!r}")
        self.status, self.method, self.body = int(found[1] or 0), found[2], body
        self.headers = [(k.strip().lower(), v.strip()) for k, _, v in (r.partition(":") for r in rows[1:])]

    def all(self, name):
        """All values of a header, one row each."""
        return [value for key, value in self.headers if key == name.lower()]

    def get(self, name):
        """The first value, or the empty string."""
        return (self.all(name) or [""])[0]


def split_message(octets):
    """(message, octets consumed), or `None` while more octets are needed."""
    head, blank, rest = octets.partition(b"\r\n\r\n")
    if not blank:
        return None
    found = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head)
    length = int(found[1]) if found else len(rest)
    if len(rest) < length:
        return None
    return Message(head.decode(), rest[:length]), len(head) + 4 + length


class Agent:
    """A client on one socket, holding at most one dialog."""

    def __init__(self, transport, server, user):
        self.transport, self.server, self.user = transport, server, user
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(family, kind)
        self.socket.connect(server)
        self.address = join_address(*self.socket.getsockname()[:2])
        self.buffer, self.call_id, self.cseq = b"", ident(20), 126
        self.own_tag, self.peer_tag, self.target = ident(8), "", None
        self.acknowledged = {}
        self.requests = []

    def _receive(self, seconds):
        """The next response, or `None` after `seconds`; requests are answered 200 and kept."""
        deadline = time.monotonic() + seconds
        while True:
            found = split_message(self.buffer)
            if found:
                self.buffer = b"" if self.transport == "udp" else self.buffer[found[1] :]
                if found[0].status:
                    return found[0]
                self._agree(found[0])
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                octets = self.socket.recv(DATAGRAM_BYTES_MAX)
            except (socket.timeout, ConnectionRefusedError):
                return None
            ensure(octets or self.transport == "udp", "SIP: the server closed the connection")
            self.buffer = octets if self.transport == "udp" else self.buffer + octets

    def _agree(self, request):
        """Answers a request of the peer with 200."""
        self.requests.append(request)
        kept = ("via", "from", "to", "call-id", "cseq")
        rows = [f"{key}: {value}" for key, value in request.headers if key in kept]
        self.socket.sendall("\r\n".join(["SIP/2.0 200 OK", *rows, "Content-Length: 0", "", ""]).encode())

    def await_request(self, method, seconds):
        """The next request of that method, which may have come before; `None` after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            for request in self.requests:
                if request.method == method:
                    self.requests.remove(request)
                    return request
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._receive(min(left, T1_SECONDS))

    def _text(self, method, uri, branch, cseq, rows, body):
        to_tag = f";tag={self.peer_tag}" if self.peer_tag else ""
        head = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} {self.address};branch={branch}",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@home1.example>;tag={self.own_tag}",
            f"To: <{self.to_uri}>{to_tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{self.user}@{self.address};transport={self.transport}>",
            *rows,
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + body

    def request(self, method, uri, rows=(), body=b""):
        """Sends a request (repeating it over UDP) and returns the final response."""
        self.cseq += 1
        if self.target is None:
            self.to_uri = uri
        self.branch = f"z9hG4bK{ident()}"
        text = self._text(method, uri, self.branch, self.cseq, rows, body)
        deadline, interval = time.monotonic() + FINAL_SECONDS, T1_SECONDS
        provisional = False
        self.socket.sendall(text)
        while time.monotonic() < deadline:
            response = self._receive(interval)
            if response is None:
                interval = min(interval * 2, 4)
                if self.transport == "udp" and not (provisional and method == "INVITE"):
                    self.socket.sendall(text)
                continue
            number, _, of = response.get("CSeq").partition(" ")
            if (int(number), of.strip()) != (self.cseq, method):
                self._again(int(number), response)
            elif response.status < 200:
                provisional = True
            else:
                return response
        raise Failure(f"SIP {method}: no final response within {FINAL_SECONDS} s")

    def _again(self, number, response):
        """A repeated 2xx to an INVITE wants its ACK again (RFC 3261 13.2.2.4)."""
        if response.status // 100 == 2 and number in self.acknowledged:
            self.socket.sendall(self.acknowledged[number])

    def invite(self, uri, sdp):
        """Places an INVITE; a 2xx is acknowledged and opens the dialog."""
        rows = ["Content-Type: application/sdp", "Allow: INVITE, ACK, CANCEL, BYE", "Supported: gruu"]
        response = self.request("INVITE", uri, rows, sdp)
        number = self.cseq
        if response.status // 100 != 2:
            # The ACK of a refusal belongs to the transaction: same branch (RFC 3261 17.1.1.3).
            self.socket.sendall(self._text("ACK", uri, self.branch, number, (), b""))
            return response
        found = re.search(r"<([^>]+)>", response.get("Contact"))
        ensure(found, f"the 200 has no Contact URI: {response.get('Contact')!r}")
        self.target = found[1]
        self.peer_tag = re.search(r";\s*tag=([^;\s]+)", response.get("To"))[1]
        ack = self._text("ACK", self.target, f"z9hG4bK{ident()}", number, (), b"")
        self.acknowledged[number] = ack
        self.socket.sendall(ack)
        return response

    def bye(self):
        """Leaves the dialog."""
        response = self.request("BYE", self.target)
        ensure(response.status == 200, f"BYE answered {response.status}")

    def close(self):
        """Closes the socket."""
        self.socket.close()


def offer(path, host, port=2855, setup="active", types="message/cpim text/plain text/html"):
    """An SDP offer for one MSRP session, as in TS 24.247 A.5.1 step 1."""
    family = "IP6" if ":" in host else "IP4"
    rows = [
        "v=0",
        f"o=- 2987933615 2987933615 IN {family} {host}",
        "s=-",
        f"c=IN {family} {host}",
        "t=0 0",
        f"m=message {port} TCP/MSRP *",
        f"a=accept-types:{types}",
        f"a=path:{path}",
        "a=max-size:131072",
        "a=msrp-cema",
        f"a=setup:{setup}",
    ]
    return ("\r\n".join(rows) + "\r\n").encode()


def attribute(sdp, name):
    """The value of `a=name:…`, or `None`."""
    found = re.search(rf"(?m)^a={re.escape(name)}:([^\r\n]*)", sdp.decode())
    return found[1] if found else None
