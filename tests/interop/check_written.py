"""Erlang/OTP's codec reads every H.248 message that the servers wrote in the whole run."""

import glob
import json
import os
import subprocess

from process import WIRE, ensure

JUDGE_SECONDS = 120


def sent_in(file):
    """The messages that a log says were sent."""
    with open(file, encoding="utf-8", errors="replace") as log:
        for line in log:
            if WIRE in line:
                entry = json.loads(line)
                if entry["fields"]["message"] == "sent":
                    yield entry["fields"]["text"].encode()


def written(env):
    """All messages once each, each after its length, into the judge."""
    logs = glob.glob(os.path.join(os.path.dirname(env.directory), "*", "mrf*.log"))
    messages = sorted({message for file in logs for message in sent_in(file)})
    ensure(messages, "no other check of this run wrote H.248 messages")
    framed = os.path.join(env.directory, "written")
    with open(framed, "wb") as file:
        for message in messages:
            file.write(len(message).to_bytes(4, "big") + message)
    command = ["escript", env.path("judge.escript"), framed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=JUDGE_SECONDS, check=False)
    lines = done.stdout.splitlines()
    bad = [line for line in lines if line.startswith("not ok")]
    ensure(not bad, f"{len(bad)} of {len(messages)} refused: {bad[:3]}")
    ensure(done.returncode == 0 and lines[-1:] == [f"ok {len(messages)}"], f"{lines[-1:]} {done.stderr}")


def checks():
    """Names and functions."""
    yield "written-h248", written
