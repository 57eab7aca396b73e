"""Kamailio as a check starts it: a configuration with values put in, in the foreground, on a free port."""

import os
import re
import signal
import socket

from msrp import WAIT_SECONDS
from process import Process, ensure, poll


class Kamailio(Process):
    """One instance that listens on TCP `port`, with a configuration that says so."""

    def __init__(self, env, config, port):
        self.port = port
        # -DD: in the foreground; memory for write queues of fast senders.
        command = ["kamailio", "-DD", "-E", "-f", config, "-m", "256", "-M", "64"]
        command += ["-P", os.path.join(env.directory, "kamailio.pid"), "-w", env.directory]
        super().__init__("kamailio", command, env.directory, start_new_session=True)
        poll(self._listens, WAIT_SECONDS, "kamailio listens")

    def stop(self, how=signal.SIGTERM):
        """Ends it with its workers, whom a killed master leaves behind."""
        code = super().stop(how)
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return code

    def _listens(self):
        ensure(self.child.poll() is None, f"kamailio ended; {self.tail()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False


def fill(env, path, **values):
    """Copies a configuration into the check's directory with other words for some of its words."""
    with open(path, encoding="ascii") as source:
        text = source.read()
    for word, value in values.items():
        text = re.sub(rf"\b{re.escape(word)}\b", str(value), text)
    copy = os.path.join(env.directory, os.path.basename(path))
    with open(copy, "w", encoding="ascii") as target:
        target.write(text)
    return copy
