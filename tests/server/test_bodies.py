from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from mien.errors import InputError
from mien.server.bodies import document, is_form, is_json, plain, read_json, texts, words
from mien.server.multipart import Form


class Wish(BaseModel):
    count: int = Field(ge=1)


def request(body: bytes = b"", kind: str = "application/json") -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", kind.encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/a+json"]
)
def test_json_is_known_by_its_type(kind: str) -> None:
    assert is_json(request(kind=kind))
    assert not is_form(request(kind=kind))


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_forms_are_known_by_their_type(kind: str) -> None:
    assert is_form(request(kind=kind))
    assert not is_json(request(kind=kind))


def test_a_body_is_read_as_a_model() -> None:
    assert asyncio.run(read_json(request(b'{"count": 2}'), Wish)) == Wish(count=2)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused_with_a_sentence(body: bytes) -> None:
    with pytest.raises(InputError, match=r"no body|not well-formed JSON"):
        asyncio.run(read_json(request(body), Wish))


def test_a_field_that_is_wrong_is_named_with_its_place() -> None:
    with pytest.raises(RequestValidationError) as caught:
        asyncio.run(read_json(request(b'{"count": 0}'), Wish))
    assert caught.value.errors()[0]["loc"] == ("body", "count")


def test_values_of_forms() -> None:
    form = Form(
        {"p": ["a, b", "", "c"], "url": ["https://x.org/a,b", ""], "n": ["1", "2"], "o": ['{"a": 1}', "{"]}
    )
    assert words(form, "p", "none") == ["a", "b", "c"]
    assert texts(form, "url") == ["https://x.org/a,b"]
    assert plain(form, ("n", "none")) == {"n": "2"}
    assert document(form, "none", []) == []
    assert document(Form({"o": ['{"a": 1}']}), "o") == {"a": 1}
    with pytest.raises(InputError, match="field o of the form"):
        document(form, "o")
