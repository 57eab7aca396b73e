"""SIP over TLS judged by OpenSSL, and digest authentication judged by Python's own."""

import functools
import os
import ssl
import subprocess
import urllib.request

from check_sip import has_ipv6, listeners
from msrp import own_path
from process import Failure, Mrf, ensure, join_address, output
from sip import Agent, offer

DOMAIN = "home2.example"
HANDSHAKE_SECONDS = 20


def openssl(*words, said=None):
    """Runs openssl; what it wrote on stdout."""
    return output(["openssl", *words], HANDSHAKE_SECONDS, said)


def certificates(env):
    """An authority and a certificate for the domain, by openssl; the paths of both, each with its key."""
    paths = [os.path.join(env.directory, f"{name}.pem") for name in ("ca", "server")]
    ca, server = paths
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *key, "-subj", "/CN=authority", "-keyout", f"{ca}.key", "-out", ca)
    request = ["req", "-x509", *key, "-CA", ca, "-CAkey", f"{ca}.key", "-subj", "/CN=server"]
    names = ["-addext", f"subjectAltName=DNS:{DOMAIN},DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    openssl(*request, *names, "-keyout", f"{server}.key", "-out", server)
    return paths


class Secured(Agent):
    """A SIP agent on a socket of OpenSSL."""

    def __init__(self, server, user, ca):
        super().__init__("tls", server, user)
        context = ssl.create_default_context(cafile=ca)
        self.socket = context.wrap_socket(self.socket, server_hostname=DOMAIN)


def check_tls(env, family):
    """OpenSSL verifies the certificate, joins, is hung up on in its connection, and speaks no old version."""
    ca, certificate = certificates(env)
    at = "127.0.0.1:0" if family == 4 else "[::1]:0"
    mrf = Mrf(
        env, "run", *listeners(family), "--sip", f"tls:{at}", "--tls-cert", certificate, "--tls-key", f"{certificate}.key"
    )
    focus = mrf.address("sip.tls")
    connect = ["s_client", "-connect", join_address(*focus), "-verify_return_error", "-CAfile", ca]
    said = openssl(*connect, "-verify_hostname", DOMAIN, said="\r\n\r\n")
    ensure("Verify return code: 0 (ok)" in said, said)
    old = subprocess.run(["openssl", *connect, "-tls1_1"], input=b"", capture_output=True, check=False)
    ensure(old.returncode != 0, "TLS 1.1 was spoken")
    agent = Secured(focus, "ann", ca)
    path = own_path(focus[0])
    answer = agent.invite(f"sips:lobby@{DOMAIN}", offer(path, focus[0]))
    ensure(answer.status == 200, f"INVITE answered {answer.status}")
    contact = answer.get("Contact")
    ensure(contact.startswith("<sips:lobby@"), f"a sips: call got {contact}")
    mrf.child.terminate()
    try:
        bye = agent.await_request("BYE", HANDSHAKE_SECONDS)
    except Failure:  # The server has closed the connection behind it.
        bye = agent.await_request("BYE", 0)
    ensure(bye, "no BYE came through the connection")
    ensure(mrf.exit_code() == 0, mrf.tail())
    agent.close()


def check_load(env, transport):
    """The load generator calls by TLS or secure WebSocket, judges the certificate, and talks over the same."""
    ca, certificate = certificates(env)
    flags = [*listeners(), "--sip", f"{transport}:127.0.0.1:0", "--msrp", f"{transport}:127.0.0.1:0"]
    mrf = Mrf(env, "run", *flags, "--tls-cert", certificate, "--tls-key", f"{certificate}.key", trace=False)
    _, port = mrf.address(f"sip.{transport}")
    uri = f"sips:busy@localhost:{port}" + (";transport=ws" if transport == "wss" else "")
    command = [env.mrf, "load", "--via", "sip", "--target", uri, "--transport", transport, "--tls-ca"]
    few = ["--participants", "3", "--messages", "20", "--warmup", "0s"]
    said = output([*command, ca, *few], HANDSHAKE_SECONDS)
    ensure("0 lost, 0 duplicated, 0 out of order" in said, said)
    done = subprocess.run([*command, certificate, *few], capture_output=True, check=False, timeout=HANDSHAKE_SECONDS)
    ensure(done.returncode == 1, "an authority that did not make the certificate vouched for it")
    mrf.ensure_alive()


class Asked:
    """A request as the handler of urllib sees it."""

    def __init__(self, method, uri):
        self.method, self.selector, self.full_url, self.data = method, uri, f"http://{DOMAIN}/", None

    def get_method(self):
        """The method."""
        return self.method


def proof(challenge, method, uri, password):
    """What Python's library answers to a challenge."""
    known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    known.add_password(DOMAIN, f"http://{DOMAIN}/", "ann@home1.example", password)
    handler = urllib.request.HTTPDigestAuthHandler(known)
    fields = urllib.request.parse_keqv_list(urllib.request.parse_http_list(challenge.split(" ", 1)[1]))
    return "Digest " + handler.get_authorization(Asked(method, uri), fields)


def check_digest(env, transport):
    """Who is not known is asked, who knows the password gets in, and nobody gets in as another."""
    users = os.path.join(env.directory, "users")
    with open(users, "w", encoding="utf-8") as file:
        file.write("# who may call\nann@home1.example:open sesame\n")
    mrf = Mrf(env, "run", *listeners(), "--domain", DOMAIN, "--users", users)
    focus, uri = mrf.address(f"sip.{transport}"), f"sip:lobby@{DOMAIN}"

    def join(user, password):
        """The status of a call that answers the challenge."""
        agent = Agent(transport, focus, user)
        body = offer(own_path(focus[0]), focus[0])
        asked = agent.invite(uri, body)
        challenges = [value for value in asked.all("www-authenticate") if "algorithm=MD5" in value]
        ensure(asked.status == 401 and challenges, f"an unknown caller got {asked.status}")
        rows = ["Content-Type: application/sdp", f"Authorization: {proof(challenges[0], 'INVITE', uri, password)}"]
        status = agent.request("INVITE", uri, rows, body).status
        agent.close()
        return status

    ensure(join("ann", "open sesame") == 200, "the password did not open")
    ensure(join("ann", "open Sesame") == 401, "a wrong password opened")
    ensure(join("bob", "open sesame") == 403, "a user spoke for another")
    mrf.ensure_alive()


def checks():
    """Names and functions."""
    for family in [4, 6] if has_ipv6() else [4]:
        yield f"sip-tls-openssl{family}", functools.partial(check_tls, family=family)
    for transport in ("tls", "wss"):
        yield f"sip-load-{transport}", functools.partial(check_load, transport=transport)
    for transport in ("udp", "tcp"):
        yield f"sip-digest-{transport}", functools.partial(check_digest, transport=transport)
