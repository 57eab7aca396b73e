"""Runs the interoperability checks; `tests/interop/run` prepares the machine and starts this."""

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback

import check_agents
import check_h248
import check_hostile
import check_msrp
import check_overload
import check_relay
import check_secured
import check_sip
import check_torture
import check_wire
import check_written
import check_xdp
import check_xdp_peers
from process import Failure, stop_all

# The last judges what the others made the servers write.
GROUPS = [
    check_sip,
    check_torture,
    check_overload,
    check_secured,
    check_agents,
    check_msrp,
    check_hostile,
    check_h248,
    check_relay,
    check_wire,
    check_xdp,
    check_xdp_peers,
    check_written,
]


class Environment:
    """What every check gets: the binary and a directory of its own."""

    def __init__(self, mrf, directory):
        self.mrf, self.directory = mrf, directory
        self.here = os.path.dirname(os.path.abspath(__file__))

    def path(self, *parts):
        """A file beside this one."""
        return os.path.join(self.here, *parts)


def catalogue():
    """Every check of this machine: name to function."""
    return {name: function for group in GROUPS for name, function in group.checks()}


def run(name, function, mrf, root):
    """Runs one check; says whether it passed."""
    started = time.monotonic()
    directory = os.path.join(root, name)
    os.mkdir(directory)
    problem = None
    try:
        function(Environment(mrf, directory))
    except Failure as failure:
        problem = str(failure)
    except Exception:  # A defect of the check is a failure of the check, not of the run.
        problem = traceback.format_exc()
    finally:
        stop_all()
    seconds = time.monotonic() - started
    if problem is None:
        print(f"PASS {name} ({seconds:.1f} s)", flush=True)
    else:
        print(f"FAIL {name} ({seconds:.1f} s): {' / '.join(problem.split(chr(10)))}", flush=True)
    return problem is None


def leave(number, _frame):
    """Turns a signal into an exception, so that every child is ended on the way out."""
    raise SystemExit(128 + number)


def main():
    """Parses the command line and runs what it names."""
    parser = argparse.ArgumentParser(prog="tests/interop/run")
    parser.add_argument("--mrf", required=True, help="the binary under test")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("names", nargs="*", help="checks, or beginnings of their names (default: all)")
    options = parser.parse_args()
    checks = catalogue()
    if options.list:
        print("\n".join(checks))
        return 0
    for wanted in options.names:
        if not any(name.startswith(wanted) for name in checks):
            parser.error(f"no check begins with {wanted!r}; --list names them all")
    chosen = [n for n in checks if not options.names or any(n.startswith(w) for w in options.names)]
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
    passed = 0
    with tempfile.TemporaryDirectory(prefix="mrf-interop-") as root:
        try:
            for name in chosen:
                passed += run(name, checks[name], os.path.abspath(options.mrf), root)
        finally:
            stop_all()
    print(f"{passed} passed, {len(chosen) - passed} failed", flush=True)
    return 0 if passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
