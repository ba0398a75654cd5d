"""A service of canned answers, for both clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2

Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


def job(status: str, **more: Any) -> dict[str, Any]:
    moment = "2026-08-01T12:00:00.000Z"
    return {
        "id": "job_1",
        "status": status,
        "kind": "faces",
        "environment": "local",
        "priority": 5,
        "created_at": moment,
        "updated_at": moment,
        **more,
    }


def answer(body: Any, status: int = 200, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json=body, headers=headers)


def refusal(code: str, status: int, message: str = "No.", **headers: str) -> httpx2.Response:
    body = {"error": {"code": code, "message": message, "details": [], "request_id": "r"}}
    return answer(body, status, **headers)


def events(*pairs: tuple[str, Any]) -> httpx2.Response:
    text = "".join(
        f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
        for number, (name, data) in enumerate(pairs)
    )
    return httpx2.Response(200, text=text, headers={"content-type": "text/event-stream"})


class Canned:
    """Gives its answers one after the other, and remembers what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found(request) if callable(found) else found

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.asked]
