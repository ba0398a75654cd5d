from __future__ import annotations

import io
import json
import logging

import pytest

from mien.service.logs import open_log, take_over
from mien.service.settings import ServiceSettings


def test_lines_are_json_with_time_and_level_and_without_secrets() -> None:
    stream = io.StringIO()
    open_log(ServiceSettings(), stream).info("made", key="k1", client_secret="geheim", authorization="geheim")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["key"]) == ("made", "info", "k1")
    assert line["timestamp"].endswith("Z")
    assert "geheim" not in stream.getvalue()


def test_people_get_readable_lines() -> None:
    stream = io.StringIO()
    open_log(ServiceSettings(log_format="console"), stream).info("made", key="k1")
    assert "key=k1" in stream.getvalue()


def test_less_important_lines_are_left_out() -> None:
    stream = io.StringIO()
    log = open_log(ServiceSettings(log_level="warning"), stream)
    log.info("left out")
    log.warning("kept")
    assert json.loads(stream.getvalue())["event"] == "kept"


def test_logs_of_two_services_are_apart() -> None:
    one, two = io.StringIO(), io.StringIO()
    first, second = open_log(ServiceSettings(), one), open_log(ServiceSettings(log_level="error"), two)
    first.info("one")
    second.info("two")
    assert (bool(one.getvalue()), two.getvalue()) == (True, "")


def test_lines_of_libraries_come_along(monkeypatch: pytest.MonkeyPatch) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    settings = ServiceSettings()
    take_over(open_log(settings, stream), settings)
    logging.getLogger("some.library").warning("odd %s", "thing")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logging.getLogger("some.library").exception("failed")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("odd thing", "warning"),
        ("failed", "error"),
    ]
    assert "RuntimeError" in lines[1]["exception"]
