"""The cases of RFC 4475 and RFC 5118, each by its name there and made anew, at a live controller."""

import functools
import re
import socket

from check_sip import listeners
from msrp import own_path
from process import Mrf, ensure
from sip import Agent, offer

ANSWER_SECONDS = 10
ROOM = "sip:room@example.com"
# No media: an INVITE that is understood gets 488.
SDP = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
# Nothing may come back.
SILENCE = None


def request(name, method, uri, *edits, body=None):
    """A request to `uri`, an INVITE with a body; each edit is (old text, new text)."""
    body = (SDP if method == "INVITE" else "") if body is None else body
    kind = "Content-Type: application/sdp\r\n" if body else ""
    text = (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{{transport}} {{own}};branch=z9hG4bK{name};rport\r\n"
        f"Max-Forwards: 70\r\nTo: <sip:room@example.com>\r\nFrom: <sip:caller@example.net>;tag={name}1\r\n"
        f"Call-ID: {name}@example.net\r\nCSeq: 8 {method}\r\nContact: <sip:caller@host.example.net>\r\n"
        f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    )
    for old, new in edits:
        ensure(old in text, f"{name}: {old!r} is not there to be edited")
        text = text.replace(old, new, 1)
    return text


def response(status, *edits):
    """An answer to something that nobody asked."""
    text = (
        f"SIP/2.0 {status}\r\nVia: SIP/2.0/{{transport}} {{own}};branch=z9hG4bKnobody\r\n"
        "To: <sip:user@example.edu>;tag=2\r\nFrom: <sip:user@example.com>;tag=1\r\n"
        "Call-ID: response@example.net\r\nCSeq: 35 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
    for old, new in edits:
        text = text.replace(old, new, 1)
    return text


def before(text):
    """An edit that puts header fields before Max-Forwards."""
    return ("Max-Forwards", f"{text}\r\nMax-Forwards")


FOLDED = (
    "INVITE sip:room@example.com;unknownparam SIP/2.0\r\n"
    "TO :\r\n sip:room@example.com ;   tag    = 19n\r\n"
    'from   : "J Caller \\\\\\""       <sip:caller@example.com>\r\n  ;\r\n  tag = 98\r\n'
    "MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv@192.0.2.1\r\nContent-Length   : 3\r\n"
    "cseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /{transport}\r\n    {own};branch=390;rport\r\n"
    "s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
    "UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\n"
    "Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
    "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8\r\n"
    'm:"Quoted string \\"\\"" <sip:caller@example.com> ; newparam =\r\n      newvalue ; q = 0.33\r\n\r\nv=0'
)
UNUSUAL = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com"
LONG_TO = f'"a name of {"extreme" * 10} proportion" <sip:room@example.com:6000;a=very{"long" * 20}value;{"name" * 25}>'
VIAS = "\r\n".join(f"{('Via', 'v ', 'VIA', 'V  ')[n % 4]}: SIP/2.0/TCP sip{n}.example.com" for n in range(1, 34))
BINARY = "--7a\r\n\r\n\0\1\x82\xff\0\r\n\r\n\0\r\n--7a--\r\n"


def rfc4475():
    """Name, message, status that is due."""
    # 3.1.1: nothing is wrong with them.
    yield "wsinv", FOLDED, 481  # To has a tag, of a dialog that nobody knows.
    odd = [("To: <", 'To: "BEL:\\\7 NUL:\\\0 DEL:\\\x7f" <'), ("From: <", "From: token1~` token2'+_ token3*%!.- <")]
    yield "intmeth", request("intmeth", "!interesting-Method0123456789_*+`.%indeed'~", UNUSUAL, *odd), 501
    yield "esc01", request("esc01", "INVITE", "sip:sips%3Auser%40example.com@example.net"), 488
    yield "escnull", request("escnull", "REGISTER", "sip:example.com", ("<sip:room@", "<sip:null-%00-null@")), 405
    yield "esc02", request("esc02", "RE%47IST%45R", "sip:example.com", before("C%6Fntact: <sip:x>")), 501
    yield "lwsdisp", request("lwsdisp", "OPTIONS", ROOM, ("From: <", "From: caller<")), 200
    edits = [("To: <sip:room@example.com>", f"To: {LONG_TO}"), (";tag=longreq1", f";tag=12{'982' * 50}424;p{'name' * 20}")]
    yield "longreq", request("longreq", "INVITE", ROOM, *edits, before(VIAS)), 488
    yield "dblreq", request("dblreq", "REGISTER", "sip:example.com") + request("noise", "OPTIONS", ROOM), 405
    yield "semiuri", request("semiuri", "OPTIONS", "sip:user;par=u%40example.net@example.com"), 200
    others = "Via: SIP/2.0/SCTP t2;branch=z9hG4bK2\r\nVia: SIP/2.0/UNKNOWN t4;branch=z9hG4bK4"
    yield "transports", request("transports", "OPTIONS", ROOM, before(others)), 200
    kind = ("application/sdp", "multipart/mixed;boundary=7a")
    yield "mpart01", request("mpart01", "MESSAGE", ROOM, kind, body=BINARY), 405
    yield "unreason", response("200 = 2**3 * 5**2 \u043d\u043e"), SILENCE
    yield "noreason", response("100 "), SILENCE
    # 3.1.2: something is.
    gaps = [(";branch=z9hG4bKbadinv01", ";;,;,,"), ("host.example.net>", "host.example.net>;;;;")]
    yield "badinv01", request("badinv01", "INVITE", ROOM, *gaps), 400
    yield "clerr", request("clerr", "INVITE", ROOM, ("Content-Length: ", "Content-Length: 9")), 400
    yield "ncl", request("ncl", "INVITE", ROOM, ("Content-Length: ", "Content-Length: -")), 400
    large = [("CSeq: 8", "CSeq: 36893488147419103232"), ("70", "300")]
    yield "scalar02", request("scalar02", "OPTIONS", ROOM, *large), 400
    yield "scalarlg", response("503 Service Unavailable", ("35", "9292394834772304023312")), SILENCE
    yield "quotbal", request("quotbal", "INVITE", ROOM, ("To: <", 'To: "Mr. Room <')), 400
    yield "ltgtruri", request("ltgtruri", "INVITE", f"<{ROOM}>"), 400
    yield "lwsruri", request("lwsruri", "INVITE", f"{ROOM}; lr"), 488
    yield "lwsstart", request("lwsstart", "INVITE", f" {ROOM} "), 488
    yield "trws", request("trws", "OPTIONS", ROOM, ("SIP/2.0\r\n", "SIP/2.0  \r\n")), 200
    yield "escruri", request("escruri", "INVITE", f"{ROOM}?Route=%3Csip:example.com%3E"), 488
    yield "baddate", request("baddate", "INVITE", ROOM, before("Date: Fri, 01 Jan 2010 16:00:00 EST")), 488
    escaped = ("<sip:caller@host.example.net>", "sip:u@example.com?Route=%3Csip:x%3E")
    yield "regbadct", request("regbadct", "REGISTER", "sip:example.com", escaped), 405
    spaced = ("To: <sip:room@example.com>", 'To: "Room, A" < sip:room@example.com >')
    yield "badaspec", request("badaspec", "OPTIONS", ROOM, spaced), 200
    names = [("From: <", "From: Bell, A <"), ("To: <", "To: Watson, T <")]
    yield "baddn", request("baddn", "OPTIONS", ROOM, *names), 200
    yield "badvers", request("badvers", "OPTIONS", ROOM, ("SIP/2.0\r\n", "SIP/7.0\r\n"), ("SIP/2.0/", "SIP/7.0/")), 505
    yield "mismatch01", request("mismatch01", "OPTIONS", ROOM, ("8 OPTIONS", "8 INVITE")), 400
    yield "mismatch02", request("mismatch02", "NEWMETHOD", ROOM, ("8 NEWMETHOD", "8 INVITE")), 501
    yield "bigcode", response("4294967301 better not break the receiver"), SILENCE
    # 3.2 to 3.4: what they mean.
    yield "badbranch", request("badbranch", "OPTIONS", ROOM, ("z9hG4bKbadbranch", "z9hG4bK")), 200
    yield "insuf", request("insuf", "INVITE", ROOM, ("To:", "X:"), ("From:", "Y:"), ("Call-ID:", "Z:")), 400
    yield "unkscm", request("unkscm", "OPTIONS", "nobodyKnowsThisScheme:totallyopaquecontent"), 416
    yield "novelsc", request("novelsc", "OPTIONS", "soap.beep://192.0.2.103:3002"), 416
    strange = [("<sip:room@example.com>", "isbn:2983792873"), ("<sip:caller@example.net>", "<http://www.example.com>")]
    yield "unksm2", request("unksm2", "REGISTER", "sip:example.com", *strange), 405
    required = before("Require: nothingA, nothingB\r\nProxy-Require: nobody")
    yield "bext01", request("bext01", "OPTIONS", ROOM, required), 420
    yield "invut", request("invut", "INVITE", ROOM, ("application/sdp", "application/unknownformat")), 415
    opaque = before("Authorization: NoOneKnows opaque-data=here")
    yield "regaut01", request("regaut01", "REGISTER", "sip:example.com", opaque), 405
    twice = before("CSeq: 59 INVITE\r\nCall-ID: other\r\nTo: <sip:b@c>")
    yield "multi01", request("multi01", "INVITE", ROOM, twice), 400
    yield "mcl01", request("mcl01", "OPTIONS", ROOM, before("Content-Length: 5")) + "nobody knows how long", 400
    broadcast = ("To:", "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1\r\nTo:")
    yield "bcast", response("200 OK", broadcast), SILENCE
    yield "zeromf", request("zeromf", "OPTIONS", ROOM, ("70", "0")), 200
    bare = ("<sip:caller@host.example.net>", "sip:+1@gw.example.net;unknownparam")
    yield "cparam01", request("cparam01", "REGISTER", "sip:example.com", bare), 405
    inside = ("host.example.net>", "host.example.net;unknownparam>")
    yield "cparam02", request("cparam02", "REGISTER", "sip:example.com", inside), 405
    hidden = ("host.example.net>", "host.example.net?Route=%3Csip:x%3E>")
    yield "regescrt", request("regescrt", "REGISTER", "sip:example.com", hidden), 405
    yield "sdp01", request("sdp01", "INVITE", ROOM, before("Accept: text/nobodyKnowsThis")), 406
    old = [(";tag=inv25431", ""), (";branch=z9hG4bKinv2543", "")]
    yield "inv2543", request("inv2543", "INVITE", ROOM, *old), 400


def rfc5118():
    """The same."""
    host, room = "sip:[2001:db8::42]", "sip:room@[2001:db8::42]"
    contact = ("caller@host.example.net", "caller@[2001:db8::77:1]")
    dialog = ("room@example.com>", "room@example.com>;tag=nobody")
    yield "ipv6-good", request("good", "OPTIONS", room, contact), 200
    yield "ipv6-bad", request("bad", "OPTIONS", "sip:2001:db8::42", contact), 400
    yield "port-ambiguous", request("ambiguous", "OPTIONS", "sip:[2001:db8::42:5080]", contact), 200
    yield "port-unambiguous", request("unambiguous", "OPTIONS", f"{host}:5080", contact), 200
    delimited = (";branch", ";received=[2001:db8::77:99];branch")
    yield "via-received-param-with-delim", request("delim", "BYE", host, contact, delimited, dialog), 481
    open_ended = (";branch", ";received=2001:db8::77:99;branch")
    yield "via-received-param-no-delim", request("no-delim", "OPTIONS", room, contact, open_ended), 200
    six = SDP.replace("IP4 192.0.2.1", "IP6 2001:db8::77:1")
    yield "ipv6-in-sdp", request("in-sdp", "INVITE", room, contact, body=six), 488
    mixed = before("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK9\r\nVia: SIP/2.0/TCP [2001:db8::77:99];branch=z9hG4bK99")
    yield "mult-ip-in-header", request("in-header", "BYE", room, mixed, dialog), 481
    both = SDP + "m=audio 2000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP6 2001:db8::77:1\r\n"
    yield "mult-ip-in-sdp", request("mult-sdp", "INVITE", room, contact, body=both), 488
    mapped = ("caller@host.example.net", "caller@[::ffff:192.0.2.2]")
    yield "ipv4-mapped-ipv6", request("mapped", "INVITE", ROOM, mapped), 488
    yield "ipv6-bug-abnf-3-colons", request("colons3", "OPTIONS", "sip:room@[2001:db8:::192.0.2.1]"), 200
    yield "ipv6-correct-abnf-2-colons", request("colons2", "OPTIONS", "sip:room@[2001:db8::192.0.2.1]"), 200


# On a stream the message ends where Content-Length says: it has not come yet.
ENDLESS = {"clerr"}


class Sender:
    """A socket of its own for one case."""

    def __init__(self, transport, server):
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.socket, self.transport = socket.socket(socket.AF_INET, kind), transport
        self.socket.connect(server)
        self.socket.settimeout(ANSWER_SECONDS)
        self.own = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def send(self, text):
        """Sends a message: characters below 256 are octets, others UTF-8."""
        text = text.replace("{transport}", self.transport.upper()).replace("{own}", self.own)
        self.socket.sendall(b"".join(bytes([ord(c)]) if ord(c) < 256 else c.encode() for c in text))

    def status(self, name):
        """The next final status; `None` when the server closed the connection."""
        heard = b""
        while True:
            try:
                octets = self.socket.recv(65535)
            except socket.timeout:
                return f"nothing within {ANSWER_SECONDS} s of {name}"
            heard += octets
            finals = [int(code) for code in re.findall(rb"(?m)^SIP/2\.0 ([2-6]\d\d) ", heard)]
            if finals:
                return finals[0]
            if not octets:
                return None

    def is_silent(self):
        """Whether nothing has come."""
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(65535)
        except BlockingIOError:
            return True


def torture(env, transport):
    """Every case has its answer, and after each of them the controller answers."""
    mrf = Mrf(env, "run", *listeners(), trace=False)
    server = mrf.address(f"sip.{transport}")
    wrong = []
    for name, text, due in [*rfc4475(), *rfc5118()]:
        if transport == "tcp" and name in ENDLESS:
            due = SILENCE
        one, probe = Sender(transport, server), Sender(transport, server)
        one.send(text)
        if due is not SILENCE and (found := one.status(name)) != due:
            wrong.append(f"{name}: {found}, not {due}")
        probe.send(request(f"probe-{name}", "OPTIONS", ROOM))
        ensure(probe.status(name) == 200, f"after {name} nobody answers; {mrf.tail()}")
        if due is SILENCE and not one.is_silent():
            wrong.append(f"{name}: an answer")
        one.socket.close()
        probe.socket.close()
    ensure(not wrong, "; ".join(wrong))
    normal(mrf, server, transport)


def abuse(env):
    """Streams that are no SIP, never end, or are too much: closed, and nobody else notices."""
    mrf = Mrf(env, "run", *listeners(), trace=False)
    server = mrf.address("sip.tcp")
    head = request("abuse", "OPTIONS", ROOM).rpartition("\r\n")[0]
    for name, text in [
        ("zeros", "\0" * 100_000),
        ("TLS", "\x16\3\1\2\0\1\0\1\xfc\3\3" + "\xaa" * 70_000),
        ("HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("an endless line", "A" * 100_000),
        ("endless headers", head + "a: b\r\n" * 20_000),
        ("a body that is too large", head.replace("Content-Length: 0", "Content-Length: 999999999") + "\r\n" + "b" * 100_000),
    ]:
        one = Sender("tcp", server)
        try:
            one.send(text)
            while one.socket.recv(65535):
                pass
        except socket.timeout:
            ensure(False, f"{name}: still open after {ANSWER_SECONDS} s")
        except OSError:
            pass  # Reset: closed with octets of ours unread.
        mrf.ensure_alive()
    for _ in range(50):
        Sender("tcp", server).send(head[: len(head) // 2])
    normal(mrf, server, "tcp")


def normal(mrf, server, transport):
    """A user joins and leaves as ever."""
    agent = Agent(transport, server, "calm")
    sdp = offer(own_path(server[0]), server[0])
    answered = agent.invite("sip:calm@home2.example", sdp)
    ensure(answered.status == 200, f"afterwards a join gets {answered.status}; {mrf.tail()}")
    agent.bye()
    agent.close()
    mrf.ensure_alive()
    with open(mrf.log, encoding="utf-8", errors="replace") as log:
        ensure("panicked" not in log.read(), f"something panicked; {mrf.tail()}")
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")


def checks():
    """Names and functions."""
    for transport in ("udp", "tcp"):
        yield f"sip-torture-{transport}", functools.partial(torture, transport=transport)
    yield "sip-torture-abuse", abuse
