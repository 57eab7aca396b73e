"""An MSRP endpoint (RFC 4975) over plain sockets; it shares no code with the project."""

import os
import queue
import re
import socket
import threading

from process import Failure, ensure, join_address

WAIT_SECONDS = 20
HEAD_BYTES_MAX = 16384


def ident(length=12):
    """A fresh transaction-id, Message-ID or session-id."""
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(alphabet[octet % 36] for octet in os.urandom(length))


def parse_uri(uri):
    """`msrp://host:port/session;tcp` as ((host, port), session)."""
    found = re.fullmatch(r"msrps?://(\[[^\]]+\]|[^:/]+):(\d+)/([^;]+);tcp", uri)
    ensure(found, f"not an MSRP URI: {uri!r}")
    return (found[1].strip("[]"), int(found[2])), found[3]


class Frame:
    """One request or response as it came."""

    def __init__(self, start, headers, body, flag):
        words = start.split(" ", 3)
        ensure(len(words) >= 3 and words[0] == "MSRP", f"bad start line {start!r}")
        self.tid, self.flag, self.headers, self.body = words[1], flag, headers, body
        self.status = int(words[2]) if words[2].isdigit() else None
        self.method = None if self.status else words[2]

    def get(self, name):
        """The one value of a header, `None` without it."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        ensure(len(values) < 2, f"{name} occurs {len(values)} times")
        return values[0] if values else None

    def byte_range(self):
        """Byte-Range as (start, end or None, total or None)."""
        value = self.get("Byte-Range")
        found = re.fullmatch(r"(\d+)-(\d+|\*)/(\d+|\*)", value or "")
        ensure(found, f"Byte-Range {value!r}")
        return tuple(None if part == "*" else int(part) for part in found.groups())


class Reader:
    """Cuts a stream into frames."""

    def __init__(self, stream):
        self.stream, self.buffer = stream, bytearray()

    def _more(self):
        octets = self.stream.recv(1 << 18)
        if not octets:
            raise EOFError
        self.buffer += octets

    def _find(self, pattern, start, back):
        while True:
            found = pattern.search(self.buffer, start)
            if found:
                return found
            start = max(start, len(self.buffer) - back)
            self._more()

    def frame(self):
        """The next frame; raises EOFError at the end of the stream."""
        line = self._find(re.compile(rb"\r\n"), 0, 1)
        ensure(line.start() <= HEAD_BYTES_MAX, "start line without end")
        start = self.buffer[: line.start()].decode()
        tid = start.split(" ")[1].encode() if start.count(" ") >= 2 else b""
        ensure(start.startswith("MSRP ") and tid, f"not MSRP: {start!r}")
        mark = re.compile(rb"\r\n-------" + re.escape(tid) + rb"([$+#])\r\n")
        end = self._find(mark, line.start(), len(tid) + 12)
        frame = bytes(self.buffer[line.end() : max(line.end(), end.start())])
        flag = end[1].decode()  # A match looks into the buffer: read it before the cut.
        del self.buffer[: end.end()]
        head, blank, body = frame.partition(b"\r\n\r\n")
        if not blank and frame.endswith(b"\r\n"):  # Blank line, then an empty body.
            head, blank = frame[:-2], b"\r\n"
        headers = [tuple(row.split(": ", 1)) for row in head.decode().split("\r\n") if row]
        ensure(all(len(row) == 2 for row in headers), f"bad header in {head!r}")
        return Frame(start, headers, body if blank else None, flag)


class Message:
    """A received message, put together from its chunks."""

    def __init__(self):
        self.frames, self.body = [], bytearray()

    def add(self, frame):
        """Takes a chunk; says whether the message is complete."""
        first = frame.byte_range()[0] - 1
        ensure(first <= len(self.body), f"a gap: octet {first} after {len(self.body)}")
        self.body[first : first + len(frame.body)] = frame.body
        end = frame.byte_range()[1]
        ensure(end is None or end == first + len(frame.body), "Byte-Range end and body disagree")
        self.frames.append(frame)
        return frame.flag != "+"


class Endpoint:
    """One session on one connection; a thread reads it and answers each SEND with 200."""

    def __init__(self, own_path, peer_path=None):
        self.own_path, self.peer_path = own_path, peer_path
        self.responses, self.messages = queue.Queue(), queue.Queue()
        self.parts, self.stream, self.lock = {}, None, threading.Lock()
        self.error = None

    def connect(self, address=None):
        """Opens the connection to the peer's URI (or `address`); the session is not yet bound."""
        host, port = address or parse_uri(self.peer_path)[0]
        return self.attach(socket.create_connection((host, port), WAIT_SECONDS))

    def attach(self, stream):
        """Takes a connected socket."""
        stream.settimeout(None)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = stream
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def _run(self):
        reader = Reader(self.stream)
        try:
            while True:
                frame = reader.frame()
                if frame.status:
                    self.responses.put(frame)
                elif frame.method == "SEND":
                    self._received(frame)
        except (EOFError, OSError):
            pass
        except (Failure, ValueError, TypeError) as error:
            self.error = str(error)
        self.responses.put(None)
        self.messages.put(None)

    def _received(self, frame):
        if frame.get("Failure-Report") in (None, "yes"):
            head = f"MSRP {frame.tid} 200 OK\r\nTo-Path: {frame.get('From-Path')}\r\n"
            self.write((head + f"From-Path: {self.own_path}\r\n-------{frame.tid}$\r\n").encode())
        if frame.body is None:
            message = Message()
            message.frames.append(frame)
            self.messages.put(message)
            return
        key = frame.get("Message-ID")
        if self.parts.setdefault(key, Message()).add(frame):
            self.messages.put(self.parts.pop(key))

    def write(self, octets):
        """Writes octets as they are."""
        with self.lock:
            self.stream.sendall(octets)

    def send(self, body, byte_range=None, flag="$", content_type="text/plain", **fields):
        """Writes one SEND (`body=None`: without body) and returns its transaction-id."""
        tid = fields.get("tid") or ident()
        rows = [f"MSRP {tid} SEND", f"To-Path: {fields.get('to_path', self.peer_path)}"]
        rows += [f"From-Path: {self.own_path}", f"Message-ID: {fields.get('message_id') or ident()}"]
        if body is None:
            octets = b""
        else:
            length = len(body)
            first, last, total = byte_range or (1, length, length)
            rows += [f"Byte-Range: {first}-{last}/{total}", f"Content-Type: {content_type}"]
            octets = b"\r\n" + body + b"\r\n"
        head = "\r\n".join(rows) + "\r\n"
        self.write(head.encode() + octets + f"-------{tid}{flag}\r\n".encode())
        return tid

    def response(self, tid):
        """The response to `tid`, which must be the next one."""
        frame = self._next(self.responses, f"the response to {tid}")
        ensure(frame.tid == tid, f"a response to {frame.tid} where {tid} was due")
        ensure(frame.body is None and frame.flag == "$", "a response with a body or a flag")
        return frame

    def message(self):
        """The next whole message."""
        return self._next(self.messages, "a message")

    def _next(self, box, what):
        try:
            item = box.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise Failure(f"{what}: not within {WAIT_SECONDS} s; {self.error or ''}") from None
        ensure(item is not None, f"{what}: the connection ended; {self.error or ''}")
        return item

    def close(self):
        """Closes the connection."""
        if self.stream:
            try:
                self.stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.stream.close()


def own_path(host, port=2855):
    """A URI for a party at `host`, with a session-id of 80 random bits or more."""
    return f"msrp://{join_address(host, port)}/{ident(20)};tcp"
