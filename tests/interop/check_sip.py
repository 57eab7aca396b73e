"""SIPp plays the network side of TS 24.247 A.5.1 against the bundled controller."""

import functools
import os
import signal
import socket
import urllib.request

from process import Mrf, Process, ensure, join_address, poll

SIPP_SECONDS = 30
BIND_ATTEMPTS = 5


def has_ipv6():
    """Whether loopback has ::1."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


# Of every MRFP; an interface with one queue has room for one.
SHARDS = os.environ.get("MRF_TEST_SHARDS", "2")


def listeners(family=4):
    """Flags that put every listener of `mrf run` on a free port."""
    at = "127.0.0.1:0" if family == 4 else "[::1]:0"
    flags = ["--msrp", at, "--http", "off", "--shards", SHARDS]
    for transport in ("udp", "tcp"):
        flags += ["--sip", f"{transport}:{at}", "--h248", f"{transport}:127.0.0.1:0"]
    return flags


def free_port(host, transport):
    """A port that nobody uses now; SIPp left alone would take 5060, the default of others."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as one:
        one.bind((host, 0))
        return one.getsockname()[1]


def sipp(env, scenario, server, transport, conference, **keys):
    """Runs a scenario once; (exit code, what went wrong)."""
    for _ in range(BIND_ATTEMPTS):
        code, said = sipp_once(env, scenario, server, transport, conference, **keys)
        if "Unable to bind" not in said:
            break
    return code, said


def sipp_once(env, scenario, server, transport, conference, **further):
    """The same, unless another process takes the port in between."""
    child, errors = sipp_start(env, scenario, server, transport, conference, **further)
    return sipp_end(child, errors, scenario)


def sipp_command(env, scenario, server, transport, conference, port=None, **further):
    """The words that start a scenario, but for how often and for how long it is played."""
    host, server_port = server
    bracketed = f"[{host}]" if ":" in host else host
    via = "icscf2_s.home2.example" if transport == "udp" else bracketed
    command = ["sipp", f"{bracketed}:{server_port}", "-sf", env.path("sipp", f"{scenario}.xml")]
    command += ["-i", bracketed, "-p", str(port or free_port(host, transport))]
    command += ["-t", {"udp": "u1", "tcp": "t1"}[transport], "-nostdin"]
    keys = {"conference": conference, "via_host": via, "address": host}
    keys["ue"] = "[5555::aaa:bbb:ccc:ddd]:1357"  # Brackets mean a keyword inside a scenario.
    keys.update(further)
    for key, value in keys.items():
        command += ["-key", key, value]
    return command


def sipp_start(env, scenario, *where, **further):
    """Starts a scenario that is played once; its process and the file of its errors."""
    errors = os.path.join(env.directory, f"{scenario}-errors.log")
    command = sipp_command(env, scenario, *where, **further)
    command += ["-m", "1", "-timeout", "20s", "-timeout_error", "-recv_timeout", "15000"]
    # SIPp draws its screen on stdout; nobody looks.
    return Process("sipp", [*command, "-trace_err", "-error_file", errors], env.directory, cwd=env.directory), errors


def sipp_end(child, errors, scenario):
    """Waits for a scenario; (exit code, what went wrong)."""
    code = child.exit_code(SIPP_SECONDS)
    said = ""
    if os.path.exists(errors):
        with open(errors, errors="replace") as log:
            said = log.read()[-1500:]
        os.remove(errors)
    return code, f"sipp {scenario} exit {code}: {said}"


def play(env, scenario, family, transport):
    """A scenario against `mrf run`."""
    mrf = Mrf(env, "run", *listeners(family))
    code, said = sipp(env, scenario, mrf.address(f"sip.{transport}"), transport, "conference1")
    mrf.ensure_alive()
    ensure(code == 0, f"{said}; {mrf.tail()}" if code else "")
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")


def play_called(env, scenario, transport):
    """A scenario that has somebody called, and that somebody."""
    mrf = Mrf(env, "run", *listeners())
    server = mrf.address(f"sip.{transport}")
    port = free_port(server[0], transport)
    called, errors = sipp_start(env, "called", server, transport, "conference1", port=port)
    poll(lambda: is_bound(server[0], port, transport), SIPP_SECONDS, "SIPp to listen")
    callee = f"sip:user2_public1@{server[0]}:{port};transport={transport}"
    code, said = sipp(env, scenario, server, transport, "conference1", callee=callee)
    mrf.ensure_alive()
    ensure(code == 0, f"{said}; {mrf.tail()}" if code else "")
    code, said = sipp_end(called, errors, "called")
    ensure(code == 0, f"{said}; {mrf.tail()}" if code else "")
    ensure(mrf.stop() == 0, f"SIGTERM: exit {mrf.child.returncode}; {mrf.tail()}")


def is_bound(host, port, transport):
    """Whether somebody has taken the port."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((host, port))
            return False
        except OSError:
            return True


def apart(env, *flags, mrfp_flags=("--shards", "1"), trace=True):
    """A controller with `flags` and, under its control, an MRFP in a process of its own."""
    mrfc = Mrf(env, "mrfc", *without(listeners(), "--msrp", "--shards", "--http"), *flags, trace=trace)
    return mrfc, gateway(env, mrfc, *mrfp_flags, trace=trace)


def gateway(env, mrfc, *flags, trace=True):
    """An MRFP under the control of `mrfc`."""
    mgc = f"tcp:{join_address(*mrfc.address('h248.tcp'))}"
    media = ["--msrp", "127.0.0.1:0", "--http", "127.0.0.1:0", *flags]
    return Mrf(env, "mrfp", "--mgc", mgc, *media, trace=trace)


def metric(mrf, name):
    """The value of a metric without labels; `None` while there is none."""
    url = f"http://{join_address(*mrf.address('http'))}/metrics"
    with urllib.request.urlopen(url, timeout=SIPP_SECONDS) as page:
        for line in page.read().decode().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return float(value)
    return None


def cancel(env, transport):
    """An INVITE cancelled while the MRFP is silent; what the MRFP had made by then is taken back."""
    mrfc, mrfp = apart(env, "--http", "off", "--create-on-join", "on")
    poll(lambda: metric(mrfp, "mrf_mrfp_registered") == 1, SIPP_SECONDS, "the MRFP's registration")
    mrfp.child.send_signal(signal.SIGSTOP)
    code, said = sipp(env, "cancel", mrfc.address(f"sip.{transport}"), transport, "conference1")
    ensure(code == 0, f"{said}; {mrfc.tail()}" if code else "")
    mrfp.child.send_signal(signal.SIGCONT)
    poll(lambda: metric(mrfp, "mrf_mrfp_h248_requests_total") >= 2, SIPP_SECONDS, "the Add and its Subtract")
    poll(lambda: metric(mrfp, "mrf_mrfp_terminations") == 0, SIPP_SECONDS, "the termination to be subtracted")
    mrfc.ensure_alive()
    mrfp.ensure_alive()


def unknown_conference(env):
    """The controller alone makes no conference on first join: 404, once it has an MRFP."""
    mrfc, _ = apart(env, "--http", "off")

    def attempt():
        code, said = sipp(env, "unknown-conference", mrfc.address("sip.udp"), "udp", "nowhere")
        ensure(code == 0 or "503" in said, f"{said}; {mrfc.tail()}")
        return code == 0  # 503: the MRFP has yet to register.

    poll(attempt, SIPP_SECONDS, "a 404 from a controller with an MRFP")
    mrfc.ensure_alive()


def without(flags, *names):
    """`flags` less some of them and their values."""
    pairs = zip(flags[::2], flags[1::2])
    return [word for pair in pairs if pair[0] not in names for word in pair]


def checks():
    """Names and functions."""
    for family in [4, 6] if has_ipv6() else [4]:
        for transport in ("udp", "tcp"):
            yield f"sip-join-{transport}{family}", functools.partial(
                play, scenario="join", family=family, transport=transport
            )
    alone = ("no-message-media", "not-sdp", "options", "unknown-method", "subscribe", "re-invite", "factory")
    for scenario in alone:
        for transport in ("udp", "tcp"):
            yield f"sip-{scenario}-{transport}", functools.partial(
                play, scenario=scenario, family=4, transport=transport
            )
    for scenario in ("refer", "outside", "resource-list"):
        for transport in ("udp", "tcp"):
            yield f"sip-{scenario}-{transport}", functools.partial(
                play_called, scenario=scenario, transport=transport
            )
    for transport in ("udp", "tcp"):
        yield f"sip-cancel-{transport}", functools.partial(cancel, transport=transport)
    yield "sip-unknown-conference", unknown_conference
