"""More joins than the controller can take, by SIPp: 503 with Retry-After, and nobody else notices."""

import csv
import os
import signal

from check_sip import SIPP_SECONDS, apart, gateway, metric, sipp, sipp_command
from check_wire import Capture, tshark
from msrp import own_path
from process import Process, ensure, poll
from sip import Agent, offer

# The controller lets so many new dialogs wait for an answer (`ADMITTED_MAX` of control/sip).
WAITING_MAX = 2000
CALLS = WAITING_MAX + 200
CALLS_PER_SECOND = 2000
FLOOD_SECONDS = 120


def flood(env, server):
    """Starts SIPp with all calls; its process and the file of its counts."""
    counts = os.path.join(env.directory, "flood.csv")
    command = sipp_command(env, "flood", server, "udp", "flood")
    command += ["-r", str(CALLS_PER_SECOND), "-m", str(CALLS), "-l", str(CALLS)]
    command += ["-recv_timeout", str(FLOOD_SECONDS * 1000), "-trace_stat", "-stf", counts, "-fd", "1"]
    return Process("sipp", command, env.directory, cwd=env.directory), counts


def read_by_tshark(file, port):
    """Refusals are well formed, and say when to come back."""
    decode = [f"udp.port=={port},sip"]
    bad = tshark(file, decode, '_ws.malformed or _ws.expert.severity == "Error"', "_ws.col.Info")
    ensure(not bad, f"{len(bad)} bad packets: {bad[:5]}")
    fields = ("sip.Via.branch", "sip.from.tag", "sip.to.tag", "sip.Call-ID", "sip.CSeq.method", "sip.Retry-After")
    rows = tshark(file, decode, "sip.Status-Code == 503", *fields)
    ensure(rows, "no refusal in the capture")
    for row in rows:
        ensure(all(row.split("\t")), f"tshark misses something in a refusal: {row!r}")


def overload(env):
    """One MRFP falls silent: what is called to it fills the controller; then it comes back."""
    seats = os.path.join(env.directory, "seats.toml")
    with open(seats, "w", encoding="utf-8") as file:
        file.write(f"max-participants = {CALLS}\n")
    flags = ["--http", "127.0.0.1:0", "--create-on-join", "on", "--config", seats]
    mrfc, first = apart(env, *flags, trace=False)
    poll(lambda: metric(mrfc, "mrf_mrfc_mrfps") == 1, SIPP_SECONDS, "the first MRFP's registration")
    server = mrfc.address("sip.udp")
    guest = Agent("udp", server, "guest")
    sdp = offer(own_path(server[0]), server[0])
    ensure(guest.invite("sip:calm@home2.example", sdp).status == 200, "no way in before the flood")
    # The next conference goes to the MRFP that has none.
    second = gateway(env, mrfc, "--shards", "1", trace=False)
    poll(lambda: metric(mrfc, "mrf_mrfc_mrfps") == 2, SIPP_SECONDS, "the second MRFP's registration")
    second.child.send_signal(signal.SIGSTOP)
    sipp_child, counts = flood(env, server)
    poll(lambda: metric(mrfc, "mrf_mrfc_sip_shed_total") > 0, FLOOD_SECONDS, "a call to be refused")
    capture = Capture(env, "refused", [server[1]])
    stranger = Agent("udp", server, "stranger")
    asked = stranger.request("OPTIONS", "sip:calm@home2.example")
    ensure(asked.status == 503 and asked.get("Retry-After"), f"a new request got {asked.status}")
    read_by_tshark(capture.close(), server[1])
    # What belongs to a dialog is served, the MRFP's part included.
    ensure(guest.invite(guest.target, sdp + b"a=sendonly\r\n").status == 200, "no re-INVITE during the flood")
    guest.bye()
    second.child.send_signal(signal.SIGCONT)
    code = sipp_child.exit_code(FLOOD_SECONDS)
    ensure(code == 0, f"sipp flood exit {code}; {mrfc.tail()}")
    with open(counts, encoding="utf-8") as file:
        row = list(csv.DictReader(file, delimiter=";"))[-1]
    made, refused = int(row["TotalCallCreated"]), int(row["GenericCounter1(C)"])
    ensure(made == CALLS and refused > 0, f"of {made} calls {refused} were refused")
    counted = {name: metric(mrfc, f"mrf_mrfc_sip_shed_{name}") for name in ("total", "unanswered_total")}
    ensure(counted["total"] >= refused and counted["unanswered_total"] > 0, f"{refused} refused, counted: {counted}")
    for what in ("conferences", "participants", "sip_dialogs"):
        poll(lambda what=what: metric(mrfc, f"mrf_mrfc_{what}") == 0, FLOOD_SECONDS, f"no {what} left")
    for mrfp in (first, second):
        poll(lambda mrfp=mrfp: metric(mrfp, "mrf_mrfp_terminations") == 0, FLOOD_SECONDS, "no termination left")
    code, said = sipp(env, "join", server, "udp", "conference1")
    ensure(code == 0, f"after the flood: {said}; {mrfc.tail()}")
    ensure(mrfc.stop() == 0, f"SIGTERM: exit {mrfc.child.returncode}; {mrfc.tail()}")
    for party in (guest, stranger):
        party.close()


def checks():
    """Names and functions."""
    yield "sip-overload", overload
