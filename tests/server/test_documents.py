from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mien.server.documents import page
from tests.server.services import served

EVIL = "<script>alert(1)</script>"


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links += [str(value) for name, value in attributes if name in ("href", "src")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _schema(**call: Any) -> dict[str, Any]:
    whole = {"responses": {"200": {"description": "Fine"}}, **call}
    return {"info": {"title": "mien", "version": "1"}, "paths": {"/a/{id}": {"get": whole}}}


def test_whatever_a_description_says_is_text() -> None:
    text = page(
        {
            **_schema(
                tags=[EVIL],
                description=f"{EVIL}\n\nmore",
                parameters=[{"name": EVIL, "in": "query", "description": EVIL}],
                responses={"200": {"description": EVIL}},
            ),
            "info": {"title": EVIL, "version": EVIL, "summary": EVIL},
        }
    )
    assert "script" not in Tags(text).seen
    assert text.count("&lt;script&gt;") == 10  # the title and the version stand twice


def test_a_call_is_told_with_its_parameters_bodies_and_answers() -> None:
    text = page(
        _schema(
            description="First.\n\nSecond.",
            parameters=[
                {"name": "id", "in": "path", "required": True, "schema": {"description": "Which."}},
                {"name": "n", "in": "query"},
            ],
            requestBody={"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Wish"}}}},
            responses={
                "200": {
                    "description": "Fine",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}},
                },
                "404": {"description": "Not Found"},
            },
        )
    )
    assert "<h2>other</h2>" in text
    assert "<code>GET /a/{id}</code>" in text
    assert "<p>First.</p><p>Second.</p>" in text
    assert "<code>id</code> (path, required) Which." in text
    assert "<code>n</code> (query, optional)" in text
    assert "Body: application/json <code>Wish</code>" in text
    assert "Answers: 200 Fine <code>Job</code>; 404 Not Found" in text


def test_the_page_of_the_whole_api_is_sound_and_needs_nobody_else(tmp_path: Path) -> None:
    with served(tmp_path) as made:
        schema = made.app.openapi()
    text = page(schema)
    tags = Tags(text)
    assert tags.open == []
    assert tags.links == ["openapi.json"]
    assert tags.seen.isdisjoint({"script", "style", "img", "iframe"})
    for path, methods in schema["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in text
