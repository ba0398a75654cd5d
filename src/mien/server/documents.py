"""The description of the API as one plain page, without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any


def page(schema: Mapping[str, Any]) -> str:
    """An HTML page of an OpenAPI document: every call with its parameters and answers."""
    title = f"{escape(schema['info']['title'])} {escape(schema['info']['version'])}"
    calls = "\n".join(_groups(schema))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f"<body><h1>{title}</h1><p>{escape(schema['info'].get('summary', ''))}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{calls}</body></html>"
    )


def _groups(schema: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, call in methods.items():
            tag = (call.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append("".join(_call(method.upper(), path, call)))
    for tag, calls in groups.items():
        yield f"<h2>{escape(tag)}</h2>" + "\n".join(calls)


def _call(method: str, path: str, call: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h3><code>{method} {escape(path)}</code></h3>"
    yield "".join(f"<p>{escape(text)}</p>" for text in call.get("description", "").split("\n\n") if text)
    parameters = call.get("parameters", [])
    if parameters:
        yield "<ul>" + "".join(map(_parameter, parameters)) + "</ul>"
    bodies = call.get("requestBody", {}).get("content", {})
    if bodies:
        yield f"<p>Body: {', '.join(f'{escape(kind)} {_shape(body)}'.strip() for kind, body in bodies.items())}</p>"
    yield "<p>Answers: " + "; ".join(_answer(*item) for item in call["responses"].items()) + "</p>"


def _parameter(item: Mapping[str, Any]) -> str:
    need = "required" if item.get("required") else "optional"
    said = item.get("description") or item.get("schema", {}).get("description", "")
    return f"<li><code>{escape(item['name'])}</code> ({escape(item['in'])}, {need}) {escape(said)}</li>"


def _answer(status: str, response: Mapping[str, Any]) -> str:
    shapes = " ".join(_shape(body) for body in response.get("content", {}).values())
    return f"{escape(status)} {escape(response.get('description', ''))} {shapes}".strip()


def _shape(body: Mapping[str, Any]) -> str:
    name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return f"<code>{escape(name)}</code>" if name else ""
