from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mien.server.openapi import rendered

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def text() -> str:
    return rendered()


def test_the_document_is_that_of_the_code(text: str) -> None:
    assert DOCUMENT.read_text("utf-8") == text, "run: python -m mien.server.openapi docs/openapi.json"


def test_nothing_is_named_that_is_not_there(text: str) -> None:
    document = json.loads(text)
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named <= set(document["components"]["schemas"])


def test_every_operation_is_described_and_refuses_with_the_envelope(text: str) -> None:
    document = json.loads(text)
    ids = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            ids.append(operation["operationId"])
            assert operation.get("description"), (method, path)
            assert operation.get("tags"), (method, path)
            for status, response in operation["responses"].items():
                if int(status) >= 400 and (status, path) != ("503", "/api/v1/health"):
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorEnvelope"}, (method, path, status)
    assert len(ids) == len(set(ids))
