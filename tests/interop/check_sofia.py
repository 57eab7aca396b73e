"""sofia-sip, a SIP stack of its own, joins, watches and leaves; straight, and behind Kamailio as a proxy."""

import functools
import os
import re
import subprocess

from check_msrp import Participant, bind, seed_message
from check_sip import free_port, listeners
from kamailio import Kamailio, fill
from msrp import Endpoint, own_path
from process import Mrf, Process, ensure, join_address
from sip import attribute, offer

STEP_SECONDS = 20
# What operators are given to start from.
EXAMPLE = ("..", "..", "deploy", "kamailio.cfg")


class Sofia(Endpoint):
    """A participant whose dialog is sofia-sip's; its session is on plain sockets."""

    def __init__(self, env, transport, focus, proxy=None):
        super().__init__(own_path("127.0.0.1"))
        with open(os.path.join(env.directory, "offer.sdp"), "wb") as file:
            file.write(offer(self.own_path, "127.0.0.1"))
        own = f"sip:127.0.0.1:{free_port('127.0.0.1', transport)};transport={transport}"
        target = f"sip:lobby@{join_address(*focus)};transport={transport}"
        route = [f"sip:127.0.0.1:{proxy.port};transport={transport};lr"] if proxy else []
        command = [build(env), own, target, *route]
        self.agent = Process("sofia", command, env.directory, stdin=subprocess.PIPE, cwd=env.directory)
        answer = self.agent.expect(r"^answer (\d+) (.*)", STEP_SECONDS)
        ensure(answer[1] == "200" and ";isfocus" in answer[2], answer.string)
        self.peer_path = attribute(self.body(), "path")

    def body(self):
        """The lines up to `end`, as octets."""
        rows = iter(lambda: self.agent.line(STEP_SECONDS, "a body"), "end")
        return "\n".join(row.rstrip("\r") for row in rows).encode()

    def watched(self):
        """The next NOTIFY of the subscription: state and document."""
        state = self.agent.expect(r"^notify (\S+) \S+ \d+", STEP_SECONDS)[1]
        return state, self.body().decode()

    def leave(self):
        """BYE; the agent ends when it is answered."""
        self.agent.say("bye")
        self.agent.expect("^left 200")
        ensure(self.agent.exit_code() == 0, f"sofia: exit {self.agent.child.returncode}; {self.agent.seen}")
        problems = [line for line in self.agent.seen if line.startswith("problem")]
        ensure(not problems, f"sofia: {problems}")
        self.close()


def build(env):
    """Compiles the agent."""
    program = os.path.join(env.directory, "sofia")
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "sofia-sip-ua"], capture_output=True, text=True, check=True
    )
    command = ["gcc", "-Wall", "-o", program, env.path("sofia.c"), *flags.stdout.split()]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    ensure(made.returncode == 0, f"gcc: {made.stderr}")
    return program


def conference(env, transport, behind_proxy):
    """Joins, watches, talks before and after a re-INVITE, and leaves; the other is on plain sockets."""
    records = os.path.join(env.directory, "cdr.jsonl")
    mrf = Mrf(env, "run", *listeners(), "--cdr", records)
    focus = mrf.address(f"sip.{transport}")
    proxy = None
    if behind_proxy:
        port = free_port("127.0.0.1", "tcp")
        words = {"5070": port, "127.0.0.1:5060": join_address(*focus)}
        proxy = Kamailio(env, fill(env, env.path(*EXAMPLE), **words), port)
    party = Sofia(env, transport, focus, proxy)
    party.connect()
    other = Participant(mrf, "bob", transport)
    bind(party, other)
    seed_message(party, other)
    party.agent.say("subscribe")
    party.agent.expect("^subscribed 20[02]")
    state, document = party.watched()
    ensure(state == "active" and "sofia@home1.example" in document, f"{state}: {document}")
    party.agent.say("hold")
    answer = party.agent.expect(r"^answer (\d+)", STEP_SECONDS)
    ensure(answer[1] == "200", answer.string)
    ensure(attribute(party.body(), "path") == party.peer_path, "a re-INVITE changed the MRFP's path")
    seed_message(other, party)
    party.leave()
    other.leave()
    mrf.ensure_alive()
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")
    if behind_proxy:
        proxy.stop()
        with open(proxy.log, encoding="utf-8", errors="replace") as log:
            passed = set(re.findall(r"within a dialog: (\w+)", log.read()))
        due = {"INVITE", "ACK", "SUBSCRIBE", "NOTIFY", "BYE"}
        ensure(passed >= due, f"of the dialog's requests {sorted(due - passed)} did not take the recorded route")
        with open(records, encoding="utf-8") as file:
            said = file.read()
        ensure(re.search(r"proxy-\d+", said), f"the record lacks the proxy's charging identity: {said}")


def checks():
    """Names and functions."""
    for transport in ("udp", "tcp"):
        yield f"sofia-{transport}", functools.partial(conference, transport=transport, behind_proxy=False)
        yield f"sofia-kamailio-{transport}", functools.partial(conference, transport=transport, behind_proxy=True)
