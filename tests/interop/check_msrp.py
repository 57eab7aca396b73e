"""Two participants on plain sockets talk through a conference that they joined by SIP."""

import functools
import re

from check_sip import SHARDS, has_ipv6, listeners
from msrp import Endpoint, ident, own_path, parse_uri
from process import Failure, Mrf, Process, ensure
from sip import Agent, attribute, offer

SEED_TEXT = b"those are my principles. If you don't like them I have others - Groucho Marx."
SEED_TID, SEED_MESSAGE_ID = "a97ghjut", "9972"
FLOW_SECONDS = 60


class NotReady(Failure):
    """503: the controller has no MRFP yet."""


class Participant(Endpoint):
    """A SIP dialog and the MSRP session that it set up."""

    def __init__(self, mrf, user, transport="udp", more=b"", **options):
        server = mrf.address(f"sip.{transport}")
        super().__init__(own_path(server[0]))
        self.agent = Agent(transport, server, user)
        sdp = offer(self.own_path, server[0], **options) + more
        answer = self.agent.invite("sip:lobby@home2.example", sdp)
        if answer.status == 503:
            raise NotReady(f"INVITE answered 503; {mrf.tail()}")
        ensure(answer.status == 200, f"INVITE answered {answer.status}; {mrf.tail()}")
        ensure(attribute(answer.body, "setup") == "passive", f"not passive: {answer.body}")
        self.peer_path = attribute(answer.body, "path")
        host, port = parse_uri(self.peer_path)[0]
        ensure([host, port] == list(mrf.address("msrp")), f"{self.peer_path} is no listener of {mrf.ready}")
        self.connect()

    def leave(self):
        """BYE, then the connection."""
        self.agent.bye()
        self.close()


def accepted(sender, tid):
    """The SEND `tid` got its 200, with swapped paths."""
    answer = sender.response(tid)
    ensure(answer.status == 200, f"SEND answered {answer.status}")
    ensure(answer.get("To-Path") == sender.own_path, f"200 To-Path {answer.get('To-Path')!r}")
    ensure(answer.get("From-Path") == sender.peer_path, f"200 From-Path {answer.get('From-Path')!r}")


def bind(*parties):
    """Each party says who it is with a SEND without body: 200, and nobody else hears of it."""
    for party in parties:
        accepted(party, party.send(None))


def delivered(recipient, body, content_type="text/plain", not_tids=()):
    """The next message at `recipient` is `body`, addressed to it by the MRFP."""
    message = recipient.message()
    for frame in message.frames:
        ensure(frame.body is not None, "a SEND without body was copied")
        ensure(frame.tid not in not_tids, f"the copy repeats the transaction-id {frame.tid}")
        ensure(frame.get("To-Path") == recipient.own_path, f"copy To-Path {frame.get('To-Path')!r}")
        ensure(frame.get("From-Path") == recipient.peer_path, f"copy From-Path {frame.get('From-Path')!r}")
        ensure(frame.get("Content-Type") == content_type, f"copy Content-Type {frame.get('Content-Type')!r}")
        ensure(frame.byte_range()[2] in (None, len(body)), f"copy Byte-Range total {frame.byte_range()}")
    ensure(bytes(message.body) == body, f"{len(message.body)} octets came of {len(body)}, or others")
    ensure(message.frames[-1].flag == "$", f"the last chunk ends in {message.frames[-1].flag}")
    return message


# MSRP-TGPP-020, MSRP-TGPP-022.
def seed_message(sender, recipient):
    """The message of A.5.1 step 23, in ASCII: 77 octets."""
    ensure(len(SEED_TEXT) == 77, "the seed's text")
    tid = sender.send(SEED_TEXT, tid=SEED_TID, message_id=SEED_MESSAGE_ID)
    accepted(sender, tid)
    message = delivered(recipient, SEED_TEXT, not_tids=[SEED_TID])
    ensure(len(message.frames) == 1, f"{len(message.frames)} chunks of 77 octets")
    ensure(message.frames[0].byte_range() in [(1, 77, 77), (1, None, 77)], "copy Byte-Range")


# MSRP-RECV-004, MSRP-SEND-006.
def three_chunks(sender, recipient):
    """One message in three chunks, each with its own transaction."""
    body = bytes(range(32, 127)) * 60
    message_id, tids = ident(), []
    for first, last, flag in [(0, 2000, "+"), (2000, 2001, "+"), (2001, len(body), "$")]:
        part = (first + 1, last, len(body))
        tids.append(sender.send(body[first:last], part, flag, message_id=message_id))
    for tid in tids:
        accepted(sender, tid)
    delivered(recipient, body, not_tids=tids)


def hostile_body(octets):
    """NUL, every octet value, bare CR and LF, and lines that look like ends of other messages."""
    fake = b"\r\n-------a97ghjut$\r\nMSRP a97ghjut 200 OK\r\n-------a97ghjut+\r\n-------\r\n\0\r\r\n"
    block = bytes(range(256)) + fake + b"\0" * 100
    return (block * (octets // len(block) + 1))[:octets]


def binary(sender, recipient, octets, content_type):
    """A large binary message arrives octet for octet."""
    body = hostile_body(octets)
    tid = sender.send(body, (1, "*", octets), content_type=content_type)
    accepted(sender, tid)
    delivered(recipient, body, content_type)


def conference(talk, env, family=4, transport="udp", flags=()):
    """Runs `talk` between two participants of a running `mrf run`, who then leave."""
    mrf = Mrf(env, "run", *listeners(family), *flags)
    alice, bob = Participant(mrf, "alice", transport), Participant(mrf, "bob", transport)
    bind(alice, bob)
    talk(mrf, alice, bob)
    alice.leave()
    bob.leave()
    mrf.ensure_alive()
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")


def talk(_mrf, alice, bob):
    """Both directions; the seed's message, chunks, and a binary message as large as allowed."""
    seed_message(alice, bob)
    seed_message(bob, alice)
    three_chunks(alice, bob)
    binary(bob, alice, 32768, "text/html")


# MSRP-RCS-006.
def bodiless(_mrf, alice, bob):
    """A SEND without body is answered and not copied: what follows it comes first."""
    accepted(alice, alice.send(None))
    seed_message(alice, bob)
    bind(bob)
    seed_message(bob, alice)


# MSRP-STAT-009, MSRP-CONN-007.
def unknown_session(mrf, alice, bob):
    """A To-Path that nobody was given: 481."""
    stranger = Endpoint(own_path(mrf.address("msrp")[0]))
    stranger.peer_path = own_path(*mrf.address("msrp"))
    answer = stranger.connect().response(stranger.send(b"Anybody there?"))
    ensure(answer.status == 481, f"answered {answer.status}")
    stranger.close()
    seed_message(alice, bob)


# MSRP-CONN-008, MSRP-STAT-011.
def second_connection(_mrf, alice, bob):
    """A session is bound to one connection: 506 on another, and the first goes on."""
    double = Endpoint(alice.own_path, alice.peer_path).connect()
    answer = double.response(double.send(b"Me too."))
    ensure(answer.status == 506, f"answered {answer.status}")
    double.close()
    seed_message(alice, bob)


def told(party, content_type, *said):
    """The next message at `party` is one of the focus, and says all of `said`."""
    message = party.message()
    found = (message.frames[0].get("Content-Type"), message.body.decode())
    ensure(found[0] == content_type and all(text in found[1] for text in said), f"{said}: {found}")
    return found[1]


def room(env, profile):
    """A running system whose conferences tell in other words that they are rooms."""
    path = f"{env.directory}/{profile}.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'profile = "{profile}"\nnotices = "on"\nnotice-room = "Raum {{room}} ä"\n')
        file.write('notice-present = "Da: {names}"\n')
    return Mrf(env, "run", *listeners(4), "--config", path, name=f"run-{profile}")


# MSRP-CHAT-025.
def notices(env):
    """Who knows no chat rooms is told in plain text where it is and who comes and goes; the others not."""
    mrf = room(env, "chatroom")
    aware = Participant(mrf, "alice", more=b"a=chatroom:nickname\r\n")
    bind(aware)
    bob = Participant(mrf, "bob")
    bind(bob)
    said = told(bob, "message/cpim", "From: <sip:lobby@home2.example>", "text/plain", "Raum sip:lobby@home2.example ä")
    ensure(re.search(r"Da: .*sip:alice@", said) and "sip:bob@" not in said.split("Da:")[1], said)
    late = Participant(mrf, "carol", more=b"a=chatroom\r\n")
    bind(late)
    told(bob, "message/cpim", "Joined: ", "sip:carol@")
    wrapped = "From: <sip:bob@home1.example>\r\nTo: <sip:lobby@home2.example>\r\n\r\n"
    accepted(bob, bob.send((wrapped + "Content-Type: text/plain\r\n\r\nHello.").encode(), content_type="message/cpim"))
    # The first thing that who knows chat rooms gets.
    told(aware, "message/cpim", "Hello.")
    for party in (aware, bob, late):
        party.leave()
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")
    mrf = room(env, "3gpp")
    plain = Participant(mrf, "dora", types="text/plain")
    bind(plain)
    told(plain, "text/plain;charset=utf-8", "Raum sip:lobby@home2.example ä")
    plain.leave()
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")


def spread(env, *flags):
    """A conference on two shards: everybody hears everybody."""
    mrf = Mrf(env, "run", *listeners(), "--spread-above", "2", *flags)
    parties = [Participant(mrf, name) for name in ("alice", "bob", "carol", "dave", "erin")]
    bind(*parties)
    shards = {parse_uri(party.peer_path)[1][0] for party in parties}
    ensure(SHARDS == "1" or len(shards) > 1, f"all are on shard {shards}")
    for sender in parties:
        others = [party for party in parties if party is not sender]
        body = hostile_body(32768)
        tids = [sender.send(SEED_TEXT), sender.send(body, (1, "*", len(body)), content_type="text/html")]
        for tid in tids:
            accepted(sender, tid)
        for party in others:
            delivered(party, SEED_TEXT, not_tids=tids)
            delivered(party, body, "text/html", not_tids=tids)
    parties.pop().leave()
    seed_message(parties[0], parties[-1])
    for party in parties:
        party.leave()
    mrf.ensure_alive()
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")


def flow(env):
    """`mrf flow a.5.1` against an instance of its own; the seed's text goes out and comes in."""
    child = Process("flow", [env.mrf, "flow", "a.5.1", "--verbose"], env.directory)
    lines = child.rest(FLOW_SECONDS)
    ensure(child.exit_code() == 0, f"exit {child.child.returncode}: {lines[-5:]}; {child.tail()}")
    ensure(lines.count(SEED_TEXT.decode()) == 2, "the seed's text is not seen twice")


def checks():
    """Names and functions."""
    for family in [4, 6] if has_ipv6() else [4]:
        yield f"msrp-talk-ipv{family}", functools.partial(conference, talk, family=family)
    yield "msrp-talk-sip-tcp", functools.partial(conference, talk, transport="tcp")
    yield "msrp-talk-mio", functools.partial(conference, talk, flags=["--reactor", "mio"])
    yield "msrp-bodiless", functools.partial(conference, bodiless)
    yield "msrp-unknown-session", functools.partial(conference, unknown_session)
    yield "msrp-second-connection", functools.partial(conference, second_connection)
    yield "msrp-spread", spread
    yield "msrp-spread-mio", lambda env: spread(env, "--reactor", "mio")
    yield "msrp-notices", notices
    yield "flow-a.5.1", flow
