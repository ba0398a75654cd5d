from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from mien.errors import InputError, MienError, UnsupportedMedia, UploadTooLarge
from mien.server.multipart import Form, FormLimits, FormParser, parse_form
from mien.service.settings import ServiceSettings
from tests.server.conftest import left

LIMITS = FormLimits(file_bytes=2000, files=3, fields=5, field_bytes=100, fields_bytes=200)


def part(disposition: str, content: bytes, *headers: str) -> bytes:
    lines = [f"Content-Disposition: form-data; {disposition}", *headers, "", ""]
    return b"--XX\r\n" + "\r\n".join(lines).encode() + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--XX--\r\n"


WHOLE = body(
    part('name="processors"', b"face_swapper"),
    part('name="processors"', "é".encode()),
    part('name="target"; filename="a.png"', bytes(range(256)) * 4, "Content-Type: image/png"),
    part('name="source[]"; filename="../b\r\n.png"'.replace("\r\n", "%0D%0A"), b"\r\n--XY\r\n--X"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.integers(1, 400), max_size=30))
def test_a_form_is_the_same_however_it_is_cut(tmp_path: Path, cuts: list[int]) -> None:
    with FormParser("XX", tmp_path / "in", LIMITS) as parser:
        rest = WHOLE
        for cut in cuts:
            parser.feed(rest[:cut])
            rest = rest[cut:]
        parser.feed(rest)
        form = parser.finish()
        assert form.fields == {"processors": ["face_swapper", "é"]}
        assert form.value("processors") == "é"
        assert [(file.field, file.name) for file in form.files] == [
            ("target", "a.png"),
            ("source[]", "b.png"),
        ]
        assert form.files[0].path.read_bytes() == bytes(range(256)) * 4
        assert form.files_of("source")[0].path.read_bytes() == b"\r\n--XY\r\n--X"
    assert list((tmp_path / "in").iterdir()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=600), st.integers(0, len(WHOLE)))
def test_noise_is_refused_or_read_and_leaves_nothing(tmp_path: Path, noise: bytes, at: int) -> None:
    with FormParser("XX", tmp_path / "in", LIMITS) as parser, suppress(MienError):
        parser.feed(WHOLE[:at] + noise + WHOLE[at:])
        parser.finish()
    assert not (tmp_path / "in").exists() or list((tmp_path / "in").iterdir()) == []


REFUSED: list[tuple[bytes, type[MienError], str]] = [
    (WHOLE[:-20], InputError, "breaks off"),
    (b"", InputError, "breaks off"),
    (b"no form", InputError, "well-formed"),
    (body(part('filename="a.png"', b"x")), InputError, "no name"),
    (body(b"--XX\r\nContent-Type: a/b\r\n\r\nx\r\n"), InputError, "no name"),
    (body(*[part(f'name="f{n}"', b"x") for n in range(9)]), InputError, "more than 5 fields"),
    (body(*[part(f'name="f{n}"; filename="a"', b"x") for n in range(4)]), InputError, "more than 3 files"),
    (body(part('name="f"', b"x" * 101)), InputError, "too long"),
    (body(*[part('name="f"', b"x" * 90) for n in range(3)]), InputError, "too long"),
    (body(part('name="f"; filename="big.png"', b"x" * 2001)), UploadTooLarge, "big.png is larger"),
    (body(part(f'name="{"n" * 201}"', b"x")), InputError, "more than 200 characters"),
    (body(part('name="f"', b"x", "X-Long: " + "x" * 5000)), InputError, "well-formed"),
    (body(part('name="f"', b"x", *[f"X-{n}: x" for n in range(20)])), InputError, "well-formed"),
    (body(part('name="f"', b"\xff\xfe")), InputError, "not UTF-8"),
]


@pytest.mark.parametrize(("data", "error", "says"), REFUSED, ids=[f"{n}" for n in range(len(REFUSED))])
def test_what_is_malformed_or_too_much_is_refused(
    tmp_path: Path, data: bytes, error: type[MienError], says: str
) -> None:
    with FormParser("XX", tmp_path, LIMITS) as parser, pytest.raises(error, match=says):
        feed_all(parser, data)
    assert list(tmp_path.iterdir()) == []


def feed_all(parser: FormParser, data: bytes) -> Form:
    parser.feed(data)
    return parser.finish()


def test_the_kinds_of_file_names_that_clients_send(tmp_path: Path) -> None:
    data = body(
        part('name="a"; filename=""', b""),
        part("name=\"b\"; filename*=utf-8''Zo%C3%AB.png", b"x"),
        part('name="c"; filename="C:\\fake\\Zoë.png"', b""),
    )
    with FormParser("XX", tmp_path, LIMITS) as parser:
        form = feed_all(parser, data)
        assert [(file.field, file.name, file.size) for file in form.files] == [
            ("b", "Zoë.png", 1),
            ("c", "Zoë.png", 0),
        ]
        assert form.fields == {}


def request(data: bytes, kind: str, pieces: int = 7, *, cut: bool = False) -> Request:
    """A request whose body comes in pieces; with ``cut`` the client goes away before the last one."""
    size = max(1, len(data) // pieces)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": data[n : n + size], "more_body": True}
        for n in range(0, len(data), size)
    ]
    messages.append(
        {"type": "http.disconnect"} if cut else {"type": "http.request", "body": b"", "more_body": False}
    )
    following = iter(messages)

    async def receive() -> Any:
        return next(following)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-type", kind.encode("latin-1"))],
    }
    return Request(scope, receive)


def read(request: Request, settings: ServiceSettings, look: Callable[[Form], Any] = lambda form: form) -> Any:
    async def run() -> Any:
        async with parse_form(request, settings) as form:
            return look(form)

    return asyncio.run(run())


def test_a_request_is_read_into_scratch_files_that_go_with_it(here: ServiceSettings) -> None:
    size = read(
        request(WHOLE, 'multipart/form-data; boundary="XX"'),
        here,
        lambda form: [file.path.stat().st_size for file in form.files],
    )
    assert size == [1024, 11]
    assert left(here) == []


def test_a_client_that_goes_away_leaves_nothing(here: ServiceSettings) -> None:
    data = part('name="target"; filename="a.png"', b"x" * (1 << 20))
    with pytest.raises(ClientDisconnect):
        read(request(data, "multipart/form-data; boundary=XX", cut=True), here)
    assert left(here) == []


def test_work_that_fails_inside_the_block_leaves_nothing(here: ServiceSettings) -> None:
    with pytest.raises(ZeroDivisionError):
        read(request(WHOLE, "multipart/form-data; boundary=XX"), here, lambda form: 1 / 0)
    assert left(here) == []


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("text/plain", UnsupportedMedia),
        ("", UnsupportedMedia),
        ("multipart/form-data", InputError),
        ("multipart/form-data; boundary=" + "x" * 300, InputError),
        ("multipart/mixed; boundary=XX", UnsupportedMedia),
    ],
)
def test_other_types_of_bodies_are_refused(here: ServiceSettings, kind: str, error: type[MienError]) -> None:
    with pytest.raises(error):
        read(request(WHOLE, kind), here)


def test_plain_forms_have_fields_only(here: ServiceSettings) -> None:
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    form = read(request(b"a=1&b=Zo%C3%AB+x&a=2&empty=", kind), here)
    assert form.fields == {"a": ["1", "2"], "b": ["Zoë x"], "empty": [""]}
    assert form.value("empty") is None
    for wrong in (b"a=%ff", b"&".join([b"a=1"] * 600), b"a=\xff"):
        with pytest.raises(InputError):
            read(request(wrong, kind), here)
