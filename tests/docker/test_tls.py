"""A dockerd behind TLS that asks for client certificates, all of them made here by openssl."""
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile

import dockerd
import pytest
from quell import eventually, serving

EXPIRED = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]


def openssl(*words, folder):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


class Authority:
    """A CA of its own, and certificates that it gave out, each in a folder as docker wants it."""

    def __init__(self, folder, name):
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2", "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", f"/CN={name}",
                folder=self.folder)
        with open(f"{self.folder}/index", "w", encoding="ascii"):
            pass
        with open(f"{self.folder}/conf", "w", encoding="ascii") as conf:
            conf.write("[ca]\ndefault_ca=own\n[own]\ndatabase=index\nnew_certs_dir=.\n"
                       "rand_serial=yes\ndefault_md=sha256\npolicy=any\ncopy_extensions=copy\n"
                       "unique_subject=no\n"
                       "[any]\ncommonName=supplied\n")

    def give(self, name, *more, usage="clientAuth"):
        """ca.pem, cert.pem and key.pem in a folder of that name."""
        folder = os.path.join(self.folder, name)
        os.mkdir(folder)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{folder}/key.pem", "-out", "request", "-subj", f"/CN={name}",
                "-addext", "subjectAltName=IP:127.0.0.1", "-addext", f"extendedKeyUsage={usage}",
                folder=self.folder)
        openssl("ca", "-batch", "-config", "conf", "-cert", "ca.pem", "-keyfile", "ca-key.pem",
                "-in", "request", "-out", f"{folder}/cert.pem", "-notext",
                *(more or ("-days", "2")), folder=self.folder)
        shutil.copy(f"{self.folder}/ca.pem", f"{folder}/ca.pem")
        return folder


class Certificates:
    def __init__(self, folder):
        one, other = Authority(folder, "one"), Authority(folder, "other")
        self.server = one.give("server", usage="serverAuth")
        self.server_expired = one.give("old-server", *EXPIRED, usage="serverAuth")
        self.client = one.give("client")
        self.expired = one.give("expired", *EXPIRED)
        self.stranger = other.give("stranger")  # trusts another CA
        self.unknown = other.give("unknown")  # trusts this one, which does not know it
        shutil.copy(f"{self.client}/ca.pem", f"{self.unknown}/ca.pem")


@pytest.fixture(scope="module")
def certificates():
    folder = tempfile.mkdtemp(prefix="quell-tls-")
    yield Certificates(folder)
    shutil.rmtree(folder)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextlib.contextmanager
def behind_tls(folder):
    why = dockerd.missing()
    if why:
        pytest.skip(why)
    port = free_port()
    flags = [f"--host=tcp://127.0.0.1:{port}", "--tlsverify", f"--tlscacert={folder}/ca.pem",
             f"--tlscert={folder}/cert.pem", f"--tlskey={folder}/key.pem"]
    with dockerd.running(*flags) as daemon:
        daemon.tcp = f"tcp://127.0.0.1:{port}"
        yield daemon


@pytest.fixture(scope="module")
def daemon(certificates):
    with behind_tls(certificates.server) as made:
        yield made


@contextlib.contextmanager
def server_with(daemon, folder, verify="1"):
    flags = ["--workers", "2", "--runtime", "docker", "--docker-host", daemon.tcp,
             "--docker-image", dockerd.IMAGE]
    env = {"DOCKER_TLS_VERIFY": verify, "DOCKER_CERT_PATH": folder}
    with serving(*flags, env=env) as server:
        yield server


def test_a_client_certificate_opens_it(certificates, daemon):
    with server_with(daemon, certificates.client) as server:
        ended = server.submit(command=["echo", "by TLS"])["eval_id"]
        server.wait(ended, status="succeeded")
        assert server.output(ended) == "by TLS\n"
        eval_id = server.submit(command=["sh", "-c", "echo ready; sleep 1000"])["eval_id"]
        server.until_output(eval_id, "ready\n")
        stop = server.kill(eval_id, {"wait": 30}).expect(200).json
        assert stop["cancelled"] and stop["evidence"] == "verified" and stop["unasked"] == []
        server.stop_everything()
        eventually(lambda: not daemon.containers(), what="containers to be removed")


def refused(server, why):
    """The log says why of an evaluation that can't be started; it waits, and is not lost."""
    eval_id = server.submit(command=["true"])["eval_id"]
    # a connection that is dropped in the middle of its handshake does not always say so much
    eventually(lambda: any("Docker:" in line and why in line for line in server.log), 60, why)
    assert server.show(eval_id)["status"] == "queued"


@pytest.mark.parametrize("who, why", [
    ("stranger", "its certificate must be in date, for that very name, and of a CA that is trusted"),
    ("unknown", "does not take the certificate of this side, which must be in date"),
    ("expired", "does not take the certificate of this side, which must be in date"),
])
def test_others_are_refused_with_a_sentence(certificates, daemon, who, why):
    with server_with(daemon, getattr(certificates, who)) as server:
        refused(server, why)


def test_a_server_whose_certificate_is_over(certificates):
    with behind_tls(certificates.server_expired) as daemon:
        with server_with(daemon, certificates.client) as server:
            refused(server, "has expired: its certificate must be in date")
