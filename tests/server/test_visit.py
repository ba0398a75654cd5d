from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.server.visit import KEY, begin, key_of, session_of, visit_of


def _scope(*headers: tuple[str, str], **more: Any) -> dict[str, Any]:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {"method": "GET", "path": "/a", "scheme": "http", "headers": raw, **more}


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_an_id_is_always_harmless_in_a_log(given_id: str) -> None:
    found = begin(_scope(("X-Request-Id", given_id))).request_id
    assert found == given_id or found.startswith("req_")
    assert 1 <= len(found) <= 64
    assert found.isascii()
    assert not set(found) & set("\r\n\t \"'\\{}")


def test_ids_of_the_service_differ() -> None:
    assert len({begin(_scope()).request_id for _ in range(100)}) == 100


def test_of_two_headers_the_first_counts() -> None:
    visit = begin(_scope(("Host", "a"), ("hOST", "b"), ("Authorization", "Bearer one")))
    assert (visit.header("host"), visit.header("authorization"), visit.header("accept")) == (
        "a",
        "Bearer one",
        None,
    )


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([("Authorization", "Bearer mien_a_b")], "mien_a_b"),
        ([("Authorization", "bearer   mien_a_b ")], "mien_a_b"),
        ([("Authorization", "Basic abc"), ("X-Api-Key", "mien_c_d")], "mien_c_d"),
        ([("Authorization", "Bearer "), ("X-Api-Key", "mien_c_d")], "mien_c_d"),
        ([("Authorization", "Bearer mien_a_b"), ("X-Api-Key", "mien_c_d")], "mien_a_b"),
        ([("Authorization", "mien_a_b")], None),
        ([], None),
    ],
)
def test_a_key_comes_in_one_of_two_headers(headers: list[tuple[str, str]], key: str | None) -> None:
    assert key_of(begin(_scope(*headers))) == key


@pytest.mark.parametrize(
    ("cookie", "session"),
    [
        ("mien_session=abc", "abc"),
        ("theme=dark; mien_session=a=b; x=y", "a=b"),
        ("mien_session=", None),
        ("my_mien_session=abc", None),
        ("", None),
    ],
)
def test_the_session_is_found_among_other_cookies(cookie: str, session: str | None) -> None:
    assert session_of(begin(_scope(("Cookie", cookie)))) == session


@pytest.mark.parametrize(
    ("path", "root", "seen"),
    [
        ("/mien/api/v1/jobs", "/mien", "/api/v1/jobs"),
        ("/api/v1/jobs", "/mien", "/api/v1/jobs"),
        ("/mienapi/v1", "/mien", "/mienapi/v1"),
        ("/mien", "/mien", ""),
        ("/api", "", "/api"),
    ],
)
def test_the_prefix_of_a_proxy_hides_nothing(path: str, root: str, seen: str) -> None:
    assert begin(_scope(path=path, root_path=root)).path == seen


def test_who_calls_and_how() -> None:
    visit = begin(_scope(client=("10.0.0.7", 5000), scheme="wss"))
    assert (visit.address, visit.secure) == ("10.0.0.7", True)
    scope = _scope(client=None)
    del scope["method"]  # as a WebSocket has it
    scope[KEY] = begin(scope)
    assert (visit_of(scope).method, visit_of(scope).address, visit_of(scope).secure) == (
        "WEBSOCKET",
        "local",
        False,
    )
