"""SIP stacks of their own join, watch and leave: sofia-sip, straight and behind Kamailio; SIP.js over WebSocket."""

import functools
import os
import re
import shutil
import subprocess

from check_msrp import Participant, bind, seed_message
from check_sip import free_port, listeners
from kamailio import Kamailio, fill
from msrp import Endpoint, own_path
from process import Mrf, Process, ensure, join_address, output
from sip import attribute, offer

STEP_SECONDS = 20
BUILD_SECONDS = 120
# What operators are given to start from.
EXAMPLE = ("..", "..", "deploy", "kamailio.cfg")


class Agent(Endpoint):
    """A participant whose dialog another program keeps; its session is on plain sockets."""

    def __init__(self, env, name, command):
        super().__init__(own_path("127.0.0.1"))
        with open(os.path.join(env.directory, "offer.sdp"), "wb") as file:
            file.write(offer(self.own_path, "127.0.0.1"))
        self.agent = Process(name, command, env.directory, stdin=subprocess.PIPE, cwd=env.directory)
        self.answered()

    def answered(self):
        """The focus has accepted; its path is this session's other end."""
        answer = self.agent.expect(r"^answer (\d+)", STEP_SECONDS)
        ensure(answer[1] == "200", answer.string)
        self.peer_path = attribute(self.body(), "path")

    def body(self):
        """The lines up to `end`, as octets."""
        rows = iter(lambda: self.agent.line(STEP_SECONDS, "a body"), "end")
        return "\n".join(row.rstrip("\r") for row in rows).encode()

    def watched(self, who):
        """A subscription is made; the first document names `who`."""
        self.agent.say("subscribe")
        state = self.agent.expect(r"^notify (\S+)", STEP_SECONDS)[1]
        document = self.body().decode()
        ensure(state.startswith("active") and who in document, f"{state}: {document}")

    def leave(self, farewell):
        """BYE; the agent ends when it is answered."""
        self.agent.say("bye")
        self.agent.expect(farewell)
        ensure(self.agent.exit_code() == 0, f"exit {self.agent.child.returncode}; {self.agent.seen}")
        problems = [line for line in self.agent.seen if line.startswith("problem")]
        ensure(not problems, f"{self.agent.name}: {problems}")
        self.close()


def sofia(env, transport, focus, proxy=None):
    """The agent of sofia-sip, in the conference."""
    program = os.path.join(env.directory, "sofia")
    flags = output(["pkg-config", "--cflags", "--libs", "sofia-sip-ua"], BUILD_SECONDS).split()
    output(["gcc", "-Wall", "-o", program, env.path("sofia.c"), *flags], BUILD_SECONDS)
    own = f"sip:127.0.0.1:{free_port('127.0.0.1', transport)};transport={transport}"
    target = f"sip:lobby@{join_address(*focus)};transport={transport}"
    route = [f"sip:127.0.0.1:{proxy.port};transport={transport};lr"] if proxy else []
    return Agent(env, "sofia", [program, own, target, *route])


def sipjs(env, transport, focus):
    """The agent of SIP.js, in the conference."""
    for name in ("package.json", "agent.mjs"):
        shutil.copy(env.path("sipjs", name), env.directory)
    install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--fetch-retries=5",
               "--prefix", env.directory]
    output(install, BUILD_SECONDS)
    url = f"{transport}://{join_address(*focus)}"
    return Agent(env, "sipjs", ["node", "agent.mjs", url, "sip:lobby@home2.example", "offer.sdp"])


def talk_with(mrf, party, name):
    """Watches, and talks with one on plain sockets before and after `hold` (a re-INVITE), where the agent has that."""
    party.connect()
    other = Participant(mrf, "bob", "udp")
    bind(party, other)
    seed_message(party, other)
    party.watched(f"{name}@home1.example")
    if name == "sofia":
        path = party.peer_path
        party.agent.say("hold")
        party.answered()
        ensure(party.peer_path == path, "a re-INVITE changed the MRFP's path")
    seed_message(other, party)
    return other


def stop(mrf, *parties):
    """Everybody has left; the server takes leave."""
    for party in parties:
        party.leave()
    mrf.ensure_alive()
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")


def check_sofia(env, transport, behind_proxy):
    """sofia-sip in a conference."""
    records = os.path.join(env.directory, "cdr.jsonl")
    mrf = Mrf(env, "run", *listeners(), "--cdr", records)
    focus = mrf.address(f"sip.{transport}")
    proxy = None
    if behind_proxy:
        port = free_port("127.0.0.1", "tcp")
        words = {"5070": port, "127.0.0.1:5060": join_address(*focus)}
        proxy = Kamailio(env, fill(env, env.path(*EXAMPLE), **words), port)
    party = sofia(env, transport, focus, proxy)
    other = talk_with(mrf, party, "sofia")
    party.leave("^left 200")
    stop(mrf, other)
    if behind_proxy:
        proxy.stop()
        with open(proxy.log, encoding="utf-8", errors="replace") as log:
            passed = set(re.findall(r"within a dialog: (\w+)", log.read()))
        due = {"INVITE", "ACK", "SUBSCRIBE", "NOTIFY", "BYE"}
        ensure(passed >= due, f"of the dialog's requests {sorted(due - passed)} did not take the recorded route")
        with open(records, encoding="utf-8") as file:
            said = file.read()
        ensure(re.search(r"proxy-\d+", said), f"the record lacks the proxy's charging identity: {said}")


def check_sipjs(env, transport):
    """SIP.js in a conference, over WebSocket; a certificate made at start serves wss."""
    mrf = Mrf(env, "run", *listeners(), "--sip", f"{transport}:127.0.0.1:0")
    party = sipjs(env, transport, mrf.address(f"sip.{transport}"))
    other = talk_with(mrf, party, "sipjs")
    party.leave("^ended$")
    stop(mrf, other)


def checks():
    """Names and functions."""
    for transport in ("udp", "tcp"):
        yield f"sofia-{transport}", functools.partial(check_sofia, transport=transport, behind_proxy=False)
        yield f"sofia-kamailio-{transport}", functools.partial(check_sofia, transport=transport, behind_proxy=True)
    for transport in ("ws", "wss"):
        yield f"sipjs-{transport}", functools.partial(check_sipjs, transport=transport)
