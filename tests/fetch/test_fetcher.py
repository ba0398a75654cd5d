"""Hostile names, addresses, redirects and bodies, against servers on this machine."""

from __future__ import annotations

import gzip
import socket
import ssl
import stat
import threading
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from mien.errors import (
    CorruptMedia,
    FetchError,
    InputMissing,
    MediaTooLarge,
    OptionError,
    OutputError,
    UnsafeInput,
    UnsupportedMedia,
)
from mien.fetch import Fetcher, FetchSettings, fetch, is_url
from mien.fetch.exchange import Exchange, trusted
from mien.fetch.network import Resolve
from mien.fetch.urls import read_url
from tests.fetch.conftest import settings_for
from tests.fetch.servers import Server, answer, png, serving

PRIVATE = "does not lead to a public address"


def names(**found: str) -> Resolve:
    """A resolver that knows these names only: addresses separated by spaces."""

    def resolve(host: str, port: int) -> list[str]:
        if host not in found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return found[host].split()

    return resolve


def test_a_file_arrives_whole_named_by_its_content(server: Server, folder: Path) -> None:
    url = server.add("/a.jpg?x=1", answer(png()))
    path = fetch(url, folder, settings_for(server))
    assert path.parent == folder
    assert path.suffix == ".png"
    assert path.read_bytes() == png()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    head = server.requests[0].decode()
    assert head.startswith("GET /a.jpg?x=1 HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{server.port}\r\n" in head
    assert "\r\nAccept-Encoding: identity\r\n" in head
    assert "cookie" not in head.lower()
    assert "authorization" not in head.lower()


def test_bytes_are_reported(server: Server, folder: Path) -> None:
    told: list[tuple[int, int | None]] = []
    url = server.add("/", answer(png()))
    Fetcher(settings_for(server)).fetch(url, folder, lambda here, total: told.append((here, total)))
    assert told[-1] == (len(png()), len(png()))


def test_an_error_of_the_listener_stops_the_fetch(server: Server, folder: Path) -> None:
    def stop(here: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Fetcher(settings_for(server)).fetch(server.add("/", answer(png())), folder, stop)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0", "localhost", "[::]", "[::1]",
        "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254",
        "10.0.0.1", "[fd00:ec2::254]", "１２７.０.０.１",
    ],
)  # fmt: skip
def test_ways_to_write_a_private_address(server: Server, folder: Path, host: str) -> None:
    with pytest.raises(UnsafeInput, match=PRIVATE):
        fetch(server.url("/", host), folder, FetchSettings(ports=(server.port,), dns_seconds=3))
    assert server.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        "127.0.0.2", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fe80::1%eth0",
        "93.184.216.34 10.0.0.1", "127.0.0.1 127.0.0.2", "2606:4700::1 fd00::1", "not-an-address", "",
    ],
)  # fmt: skip
def test_names_that_lead_to_an_address_that_is_not_allowed(
    server: Server, folder: Path, addresses: str
) -> None:
    fetcher = Fetcher(settings_for(server), names(**{"trap.example": addresses}))
    with pytest.raises(UnsafeInput, match=PRIVATE):
        fetcher.fetch(server.url("/", "trap.example"), folder)
    assert server.connections == 0


def test_unknown_and_private_names_get_the_same_answer(server: Server, folder: Path) -> None:
    fetcher = Fetcher(settings_for(server), names(**{"db.internal": "10.1.2.3"}))
    said = []
    for host in ("db.internal", "no.internal"):
        with pytest.raises(UnsafeInput) as caught:
            fetcher.fetch(server.url("/", host), folder)
        said.append(str(caught.value).replace(host, ""))
    assert said[0] == said[1]
    assert "10.1.2.3" not in said[0]


def test_a_name_that_turns_to_another_address_is_checked_again(server: Server, folder: Path) -> None:
    asked: list[str] = []

    def turning(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    server.redirect("/", "/next")
    with pytest.raises(UnsafeInput, match=PRIVATE):
        Fetcher(settings_for(server), turning).fetch(server.url("/", "turning.example"), folder)
    assert asked == ["turning.example"] * 2, "one look-up for each connection, and none in between"
    assert server.connections == 1


def test_the_next_address_is_tried_when_one_does_not_answer(server: Server, folder: Path) -> None:
    settings = settings_for(server, allowed_networks=(ip_network("127.0.0.0/8"),))
    fetcher = Fetcher(settings, names(**{"two.example": "127.0.0.9 127.0.0.1"}))
    server.add("/", answer(png()))
    assert fetcher.fetch(server.url("/", "two.example"), folder).read_bytes() == png()
    assert b"Host: two.example:" in server.requests[0]


def test_a_look_up_that_hangs(server: Server, folder: Path) -> None:
    gate = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        gate.wait(5)
        return []

    try:
        with pytest.raises(FetchError, match="could not be looked up in time"):
            Fetcher(settings_for(server, dns_seconds=0.1), hanging).fetch("http://slow.example/", folder)
    finally:
        gate.set()


def test_a_look_up_that_fails_for_now(folder: Path) -> None:
    def failing(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(FetchError, match="cannot be looked up just now"):
        Fetcher(FetchSettings(), failing).fetch("http://later.example/", folder)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://169.254.169.254/latest/meta-data/", PRIVATE),
        ("http://127.0.0.2/", PRIVATE),
        ("http://[::1]/", PRIVATE),
        ("http://10.0.0.1/", PRIVATE),
        ("//169.254.169.254/", PRIVATE),
        ("file:///etc/passwd", "begin with"),
        ("gopher://127.0.0.1/", "begin with"),
        ("http://user:word@127.0.0.1/", "user name"),
        ("http://127.0.0.1:22/", "port 22"),
        ("http://127.0.0.1\\@10.0.0.1/", "backslash"),
        ("http://[/", "no URL|malformed"),
    ],
)
def test_redirects_to_what_is_not_allowed(server: Server, folder: Path, location: str, words: str) -> None:
    with pytest.raises(UnsafeInput, match=words):
        fetch(server.redirect("/", location), folder, settings_for(server))


def test_redirects_end(server: Server, folder: Path) -> None:
    url = server.redirect("/", "/")
    with pytest.raises(UnsafeInput, match="more than 5 times"):
        fetch(url, folder, settings_for(server))
    assert len(server.requests) == 6


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
def test_redirects_are_followed(server: Server, folder: Path, status: str) -> None:
    server.redirect("/a/b", "c?d=ü".encode().decode("latin-1"), status)
    server.add("/a/c?d=%C3%BC", answer(png()))
    assert fetch(server.url("/a/b"), folder, settings_for(server)).suffix == ".png"


def test_a_redirect_to_nowhere(server: Server, folder: Path) -> None:
    url = server.add("/", answer(b"", status="302 Found"))
    with pytest.raises(FetchError, match="without saying where"):
        fetch(url, folder, settings_for(server))


@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        ("404 Not Found", InputMissing, False),
        ("403 Forbidden", InputMissing, False),
        ("401 Unauthorized", InputMissing, False),
        ("429 Too Many", FetchError, True),
        ("500 Oh", FetchError, True),
        ("503 Later", FetchError, True),
        ("206 Partial Content", FetchError, True),
        ("304 Not Modified", CorruptMedia, False),
        ("204 No Content", CorruptMedia, False),
    ],
)
def test_a_status_that_is_no_file(
    server: Server, folder: Path, status: str, error: type[Exception], retryable: bool
) -> None:
    body = b"" if status[:3] in ("204", "304") else png()
    with pytest.raises(error) as caught:
        fetch(server.add("/", answer(body, status=status)), folder, settings_for(server))
    assert caught.value.retryable is retryable  # type: ignore[attr-defined]


BODIES: dict[str, tuple[Callable[[Server], str], type[Exception], str]] = {
    "announced too large": (
        lambda s: s.add("/", answer(png(), length=10_000_000)), MediaTooLarge, "limit of 100000 bytes"),
    "without end": (
        lambda s: s.add("/", b"HTTP/1.1 200 OK\r\n\r\n" + png(), b"x" * 50_000, again=True),
        MediaTooLarge, "limit of 100000 bytes"),
    "chunks without end": (
        lambda s: s.add("/", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                        b"8000\r\n" + b"x" * 0x8000 + b"\r\n", again=True),
        MediaTooLarge, "limit of 100000 bytes"),
    "shorter than announced": (
        lambda s: s.add("/", answer(png(), "Connection: close", length=len(png()) + 9)), FetchError, "broke off"),
    "dripping": (
        lambda s: s.add("/", answer(b"", length=90_000), b"x", wait=0.1, again=True),
        FetchError, "within the time that a fetch may take"),
    "dripping head": (
        lambda s: s.add("/", b"HTTP/1.1 200 OK\r\nX: ", b"x", wait=0.1, again=True),
        FetchError, "within the time that a fetch may take"),
    "go on, go on": (
        lambda s: s.add("/", b"", b"HTTP/1.1 100 Continue\r\n\r\n", wait=0.05, again=True),
        FetchError,
        "within the time that a fetch may take",
    ),
    "another protocol": (
        lambda s: s.add("/", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        FetchError,
        "status 101|not HTTP",
    ),
    "packed on the way": (
        lambda s: s.add("/", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        FetchError,
        "not HTTP",
    ),
    "silent": (lambda s: s.add("/", answer(png()[:20], length=5000), keep=True), FetchError, "stopped sending"),
    "never answering": (lambda s: s.add("/", b"", keep=True), FetchError, "stopped sending"),
    "closing at once": (lambda s: s.add("/", b""), FetchError, "broke off"),
    "no HTTP": (lambda s: s.add("/", b"SSH-2.0-OpenSSH_9.9\r\n" * 5), FetchError, "not HTTP"),
    "endless head": (
        lambda s: s.add("/", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 150_000, keep=True), FetchError, "not HTTP"),
    "malformed length": (
        lambda s: s.add("/", answer(png()).replace(b"Content-Length: ", b"Content-Length: -")),
        FetchError, "not HTTP"),
    "two lengths": (
        lambda s: s.add("/", answer(png(), "Content-Length: 5")), FetchError, "not HTTP"),
    "packed": (
        lambda s: s.add("/", answer(gzip.compress(png()), "Content-Encoding: gzip")),
        UnsupportedMedia, "packed"),
    "empty": (lambda s: s.add("/", answer(b"")), CorruptMedia, "is empty"),
    "empty chunks": (
        lambda s: s.add("/", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        CorruptMedia, "is empty"),
    "playlist": (
        lambda s: s.add("/", answer(b"#EXTM3U\nfile:///etc/passwd\n", "Content-Type: video/mp4")),
        UnsafeInput, "playlist"),
    "web page": (lambda s: s.add("/", answer(b"<!doctype html><p>", "Content-Type: image/png")),
                 UnsupportedMedia, "web page"),
    "drawing with scripts": (lambda s: s.add("/", answer(b"<svg onload='x()'/>")), UnsupportedMedia, "SVG"),
    "torn picture": (lambda s: s.add("/", answer(png()[:40])), CorruptMedia, "damaged"),
    "pixel flood": (lambda s: s.add("/", answer(png(60_000, 60_000))), MediaTooLarge, "60000×60000"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_bodies(server: Server, folder: Path, name: str) -> None:
    prepare, error, words = BODIES[name]
    url = prepare(server) + "?key=secret"
    server.pages["/?key=secret"] = server.pages["/"]
    settings = settings_for(server, max_bytes=100_000, total_seconds=0.7)
    with pytest.raises(error, match=words) as caught:
        fetch(url, folder, settings)
    assert "secret" not in str(caught.value)
    assert str(folder) not in str(caught.value)
    assert not list(folder.iterdir())


def test_a_picture_over_the_limit_of_bytes(server: Server, folder: Path) -> None:
    with pytest.raises(MediaTooLarge, match="picture of more than 10 bytes"):
        fetch(server.add("/", answer(png())), folder, settings_for(server, max_picture_bytes=10))


def test_nothing_listens_there(server: Server, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(FetchError, match="no connection was made"):
        fetch(f"http://127.0.0.1:{port}/", folder, settings_for(ports=(port,)))


def test_proxies_and_credentials_of_the_environment_are_not_used(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch(server.add("/", answer(png())), folder, settings_for(server)).suffix == ".png"
    assert b"uthorization" not in server.requests[0]


def test_a_folder_that_is_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        fetch(server.add("/", answer(png())), tmp_path / "none", settings_for(server))


def test_a_message_is_sent_by_the_same_rules(server: Server) -> None:
    settings = settings_for(server)
    target = read_url(server.add("/hook", answer(b"thanks", status="202 Accepted")), settings)
    with Exchange(settings, trusted(settings)) as exchange:
        with exchange.request(target, "POST", {"Webhook-Id": "1"}, b"{}") as found:
            assert (found.status, b"".join(found.body)) == (202, b"thanks")
        inner = read_url(server.url("/", "127.0.0.2"), settings)
        with pytest.raises(UnsafeInput, match=PRIVATE), exchange.request(inner, "POST", {}, b"{}"):
            pass
    (request,) = server.requests
    assert request.startswith(b"POST /hook HTTP/1.1\r\n")
    assert b"\r\nWebhook-Id: 1\r\n" in request
    assert b"\r\nContent-Length: 2\r\n" in request


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for media.example, and a server context that shows it."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_tls_is_that_of_the_name(folder: Path, certificate: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, context = certificate
    asked: list[str | None] = []
    context.sni_callback = lambda connection, name, context: asked.append(name)
    with serving(context) as server:
        server.add("/", answer(png()))
        fetcher = Fetcher(
            settings_for(server, ca_file=ca_file),
            names(**{"media.example": "127.0.0.1", "other.example": "127.0.0.1"}),
        )
        assert fetcher.fetch(server.url("/", "media.example"), folder).suffix == ".png"
        assert asked == ["media.example"]
        with pytest.raises(FetchError, match="its certificate is not valid"):
            fetcher.fetch(server.url("/", "other.example"), folder)
        with pytest.raises(FetchError, match="its certificate is not valid"):
            Fetcher(settings_for(server), names(**{"media.example": "127.0.0.1"})).fetch(
                server.url("/", "media.example"), folder
            )


def test_https_never_becomes_http(folder: Path, certificate: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, context = certificate
    with serving(context) as secure, serving() as plain:
        secure.redirect("/", plain.add("/", answer(png())))
        fetcher = Fetcher(
            settings_for(secure, plain, ca_file=ca_file), names(**{"media.example": "127.0.0.1"})
        )
        with pytest.raises(UnsafeInput, match="from https to http"):
            fetcher.fetch(secure.url("/", "media.example"), folder)
        assert not plain.requests


def test_a_handshake_that_never_comes(server: Server, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(FetchError, match="did not accept a connection in time"):
            fetch(f"https://127.0.0.1:{port}/", folder, settings_for(ports=(port,), connect_seconds=0.3))


def test_settings_come_from_the_environment() -> None:
    settings = FetchSettings.from_environment(
        {
            "MIEN_FETCH_ALLOWED_NETWORKS": "10.0.0.0/8, fd00::/8",
            "MIEN_FETCH_SCHEMES": "https",
            "MIEN_FETCH_PORTS": "443 8443",
            "MIEN_FETCH_MAX_BYTES": "1000",
        }
    )
    assert settings.allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert (settings.schemes, settings.ports, settings.max_bytes) == (("https",), (443, 8443), 1000)
    with pytest.raises(OptionError, match=r"^MIEN_FETCH_ALLOWED_NETWORKS is set"):
        FetchSettings.from_environment({"MIEN_FETCH_ALLOWED_NETWORKS": "everything"})


@pytest.mark.parametrize(
    ("text", "url"), [("https://a", True), ("HTTP://a", True), ("a.jpg", False), ("c:/a", False)]
)
def test_what_is_a_url(text: str, url: bool) -> None:
    assert is_url(text) is url


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "media.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("media.example")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    ca_file, key_file = folder / "ca.pem", folder / "key.pem"
    ca_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, key_file)
    return ca_file, context


def test_every_variable_is_explained() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"
    text = page.read_text(encoding="utf-8")
    for name in FetchSettings.model_fields:
        assert f"| `MIEN_FETCH_{name.upper()}` |" in text
