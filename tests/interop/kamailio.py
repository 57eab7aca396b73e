"""Kamailio as a check starts it: a configuration with values put in, in the foreground, on a free port."""

import glob
import os
import re
import socket

from msrp import WAIT_SECONDS
from process import Process, ensure, poll


class Kamailio(Process):
    """One instance, from the configuration `name` beside this file; it listens on TCP `port`."""

    def __init__(self, env, name, port, **values):
        self.port = port
        modules = os.path.dirname(glob.glob("/usr/lib/*/kamailio/modules/tm.so")[0])
        config = fill(env, name, PORT=port, MODULES=modules, **values)
        # -DD: in the foreground; memory for write queues of fast senders.
        command = ["kamailio", "-DD", "-E", "-f", config, "-m", "256", "-M", "64"]
        command += ["-P", os.path.join(env.directory, "kamailio.pid"), "-w", env.directory]
        super().__init__("kamailio", command, env.directory, start_new_session=True)
        poll(self._listens, WAIT_SECONDS, "kamailio listens")

    def _listens(self):
        ensure(self.child.poll() is None, f"kamailio ended; {self.tail()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False


def fill(env, name, **values):
    """Copies a configuration into the check's directory, with the values put in."""
    with open(env.path(name), encoding="ascii") as source:
        text = source.read()
    for key, value in values.items():
        text = re.sub(rf"\b{key}\b", str(value), text)
    path = os.path.join(env.directory, name)
    with open(path, "w", encoding="ascii") as target:
        target.write(text)
    return path
