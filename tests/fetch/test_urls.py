from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import UnsafeInput
from mien.fetch import FetchSettings
from mien.fetch.urls import read_url, redirected

SETTINGS = FetchSettings()

REFUSED = {
    "ftp://example.com/a.jpg": "begin with https and http only",
    "file:///etc/passwd": "begin with",
    "gopher://127.0.0.1:6379/_INFO": "begin with",
    "data:image/png;base64,AAAA": "begin with",
    "javascript:alert(1)": "begin with",
    "//example.com/a.jpg": "begins with nothing",
    "example.com/a.jpg": "begins with nothing",
    "http:///a.jpg": "names no host",
    "http://": "names no host",
    "http:example.com/": "names no host",
    "https://user@example.com/": "user name",
    "https://user:secret@example.com/": "user name",
    "https://example.com@10.0.0.1/": "user name",
    "http://example.com:22/": "port 22",
    "http://example.com:6379/": "port 6379",
    "http://example.com:0/": "port 0",
    "http://example.com:65536/": "malformed",
    "http://example.com:x/": "malformed",
    "http://[::1/": "malformed",
    "http://[fe80::1%25eth0]/": "network interface",
    "http://[fe80::1%eth0]/": "network interface",
    "http://exa mple.com/": "white space",
    "http://example.com/a\r\nX-Header: 1": "white space",
    "http://example.com\\@10.0.0.1/": "backslash",
    "http://example.com\t.evil/": "white space",
    "http://exam\u200bple.com/": "white space",
    "http://ex\u00a0ample.com/": "white space",
    "http://example.com%2e/": "not a name",
    "http://127.0.0.1%00.example.com/": "not a name",
    "http://-example.com/": "not a name",
    "http://a..b/": "not a name",
    "http://*.example.com/": "not a name",
    "http://" + "a" * 64 + ".com/": "not a name",
    "http://" + "a." * 130 + "com/": "not a name",
    "http://example.com/" + "a" * 9000: "longer than",
}


@pytest.mark.parametrize(("url", "words"), REFUSED.items())
def test_refused(url: str, words: str) -> None:
    with pytest.raises(UnsafeInput, match=words):
        read_url(url, SETTINGS)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("HTTPS://Example.COM/A.jpg", "https://example.com/A.jpg"),
        ("http://example.com", "http://example.com/"),
        ("http://example.com:80/a?b=c&d=%2F#part", "http://example.com/a?b=c&d=%2F"),
        ("https://example.com:443/ä ö".replace(" ", "%20"), "https://example.com/%C3%A4%20%C3%B6"),
        ("http://[2606:4700:4700:0::1111]/x", "http://[2606:4700:4700::1111]/x"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://１２７.０.０.１/", "http://127.0.0.1/"),
        ("http://ⓛocalhost/", "http://localhost/"),
        ("http://127.1/", "http://127.1/"),
        ("http://example.com/a%2e%2e/b", "http://example.com/a%2e%2e/b"),
    ],
)
def test_read(url: str, read: str) -> None:
    assert read_url(url, SETTINGS).url == read


def test_a_redirect_passes_the_same_checks() -> None:
    start = read_url("https://example.com/a/b?c", SETTINGS)
    assert redirected(start, "../d", SETTINGS).url == "https://example.com/d"
    assert redirected(start, "//other.example/e", SETTINGS).url == "https://other.example/e"
    for location in (
        "http://example.com/",
        "ftp://example.com/",
        "https://a@b/",
        "https://b:22/",
        "https://[",
    ):
        with pytest.raises(UnsafeInput, match=r"^https://example\.com/a/b redirects"):
            redirected(start, location, SETTINGS)


def test_messages_hold_no_query_and_no_endless_path() -> None:
    target = read_url("https://example.com/" + "x" * 200 + "?signature=secret", SETTINGS)
    assert "secret" not in target.shown
    assert len(target.shown) < 90


def test_https_only() -> None:
    with pytest.raises(UnsafeInput, match="https only"):
        read_url("http://example.com/", FetchSettings(schemes=("https",)))


pieces = st.sampled_from(
    ["http:", "https:", "ftp:", "/", "//", "\\", "@", ":", "?", "#", "%", "%2e", "%00", "[", "]", "::1", ".", "..",
     "127.0.0.1", "localhost", "example.com", "80", "443", "22", "0x7f", "ü", "。", "１", "\u200b", " ", "\n", "a"]
)  # fmt: skip


@given(st.one_of(st.lists(pieces, max_size=9).map("".join), st.text(max_size=40).map("http://".__add__)))
def test_whatever_is_written_is_refused_or_means_one_thing(url: str) -> None:
    try:
        target = read_url(url, SETTINGS)
    except UnsafeInput:
        return
    assert target.host.isascii()
    assert target.url.isascii()
    assert target.url.isprintable()
    assert not set(target.host) & set("/@\\?#% ")
    assert (target.scheme in ("http", "https"), target.port in (80, 443)) == (True, True)
    assert read_url(target.url, SETTINGS) == target
