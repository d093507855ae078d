"""TLS and proxies on a real wire: no certificate that isn't trusted is spoken to, and HTTPS_PROXY is honoured without being told a secret."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.mtn_world import SECRETS, a_client, a_request, a_token_source, an_account
from tests.support.raw_server import RawServer, answer

from momo_worker.mtn.errors import ConfigurationError
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import Cause, SendAnswer

NAME = "momo.example.test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of our own for NAME and 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with RawServer(lambda _request, line: line.say(answer(202)), tls=context) as running:
        yield running


class Proxy:
    """Takes CONNECT for any name and leads it to one port; keeps what it was told in the clear."""

    def __init__(self, target_port: int, *, refuse: bool = False) -> None:
        self.heard: list[bytes] = []
        self._target_port = target_port
        self._refuse = refuse
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://user:proxy-password@127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = [self._listener]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                self._lead(client)

    def _lead(self, client: socket.socket) -> None:
        heard = b""
        while b"\r\n\r\n" not in heard:
            data = client.recv(65536)
            if not data:
                return
            heard += data
        self.heard.append(heard)
        if self._refuse:
            client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self._target_port))
        self._open.append(server)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for source, sink in ((client, server), (server, client)):
            thread = threading.Thread(target=self._pump, args=(source, sink), daemon=True)
            self._threads.append(thread)
            thread.start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def proxy(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    running = Proxy(int(server.url.rsplit(":", 1)[1]))
    monkeypatch.setenv("HTTPS_PROXY", running.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    yield running
    running.close()


def test_a_certificate_that_nobody_vouches_for_is_never_spoken_to(
    server: RawServer, certificate: tuple[Path, Path]
) -> None:
    account = an_account(server.url)
    tokens = a_token_source(account, Product.DISBURSEMENT, ca_bundle=str(certificate[0]))
    client = a_client(account, tokens=tokens)
    departures: list[None] = []
    verdict = client.send(a_request(account), lambda: departures.append(None))
    assert (verdict.answer, verdict.cause, verdict.never_left) == (SendAnswer.NOT_NOW, Cause.NEVER_SENT, True)
    assert "certificate" in (verdict.message or "")
    assert (server.requests, departures, len(server.token_requests)) == ([], [], 1)
    client.close()
    tokens.close()


def test_over_tls_the_flag_goes_up_after_the_handshake(server: RawServer, certificate: tuple[Path, Path]) -> None:
    account = an_account(server.url)
    tokens = a_token_source(account, ca_bundle=str(certificate[0]))
    client = a_client(account, tokens=tokens, ca_bundle=str(certificate[0]))
    seen_at_the_door: list[int] = []
    for _ in range(3):
        verdict = client.send(a_request(account), lambda: seen_at_the_door.append(len(server.requests)))
        assert verdict.answer is SendAnswer.ACCEPTED
    assert seen_at_the_door == [0, 1, 2]
    assert len({seen.connection for seen in server.requests}) == 1
    client.close()
    tokens.close()


def test_a_proxy_of_the_environment_leads_to_mtn_and_hears_no_secret(
    proxy: Proxy, server: RawServer, certificate: tuple[Path, Path]
) -> None:
    account = an_account(f"https://{NAME}")
    tokens = a_token_source(account, ca_bundle=str(certificate[0]))
    client = a_client(account, tokens=tokens, ca_bundle=str(certificate[0]))
    seen_at_the_door: list[int] = []
    for _ in range(2):
        verdict = client.send(a_request(account), lambda: seen_at_the_door.append(len(server.requests)))
        assert verdict.answer is SendAnswer.ACCEPTED
    assert seen_at_the_door == [0, 1]
    assert len(proxy.heard) == 2  # one for the token's connection, one for the POSTs'
    for heard in proxy.heard:
        assert heard.startswith(f"CONNECT {NAME}:443 ".encode())
        assert b"Proxy-Authorization: Basic " in heard
        assert not any(secret.encode() in heard for secret in SECRETS)
    client.close()
    tokens.close()


def test_a_proxy_that_refuses_leaves_the_post_unsent(
    proxy: Proxy, server: RawServer, certificate: tuple[Path, Path]
) -> None:
    account = an_account(f"https://{NAME}")
    tokens = a_token_source(account, ca_bundle=str(certificate[0]))
    tokens.current()
    proxy._refuse = True
    client = a_client(account, tokens=tokens, ca_bundle=str(certificate[0]))
    verdict = client.send(a_request(account), lambda: None)
    assert (verdict.answer, verdict.cause) == (SendAnswer.NOT_NOW, Cause.NEVER_SENT)
    assert "proxy-password" not in (verdict.message or "")
    assert server.requests == []
    client.close()
    tokens.close()


def test_this_machine_is_never_reached_through_a_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with RawServer(lambda _request, line: line.say(answer(202))) as plain:
        account = an_account(plain.url)
        client = a_client(account)
        assert client.send(a_request(account), lambda: None).answer is SendAnswer.ACCEPTED
        client.close()
        client._tokens.close()
    assert proxy.heard == []


def test_a_netrc_never_takes_the_bearers_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with RawServer(lambda _request, line: line.say(answer(202))) as plain:
        account = an_account(plain.url)
        client = a_client(account)
        client.send(a_request(account), lambda: None)
        client.close()
        client._tokens.close()
    assert plain.requests[0].headers["authorization"] == "Bearer a-token"


def test_a_socks_proxy_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="SOCKS"):
        a_client(an_account(f"https://{NAME}"))
