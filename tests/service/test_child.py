from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from mien.service import child
from mien.service.child import WorkerProcess, decoded, encoded
from mien.service.logs import open_log
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from mien.storage import StorageSettings

STAND_IN = """
import sys
line = sys.stdin.readline()
open(sys.argv[1], "a").write(str(len(line)) + "\\n")
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _settings() -> tuple[ServiceSettings, Settings, StorageSettings]:
    return (
        ServiceSettings(database_url=SecretStr("postgresql://mien:geheim@db/mien"), queues=("videos",)),
        Settings(providers=("cuda",), models_dir=Path("/models"), hub_urls={"github": "http://mirror"}),
        StorageSettings(providers=("s3",), s3_bucket="b", s3_secret_access_key=SecretStr("geheim")),
    )


def test_all_settings_reach_the_child() -> None:
    line = encoded(*_settings())
    assert "\n" not in line
    assert decoded(line) == _settings()


def test_the_child_works_until_its_input_ends() -> None:
    begun, given = threading.Event(), []
    read, write = os.pipe()

    def work(*arguments: object) -> bool:
        given.extend(arguments)
        begun.set()
        return bool(given[-1].wait(30))

    def end() -> None:
        begun.wait(30)
        os.close(write)

    os.write(write, (encoded(*_settings()) + "\n").encode())
    threading.Thread(target=end).start()
    with os.fdopen(read) as stdin:
        assert child.main(stdin, work) == 0
    assert tuple(given[:3]) == _settings()


def test_a_child_whose_parent_died_at_once_does_nothing() -> None:
    assert child.main(io.StringIO(""), lambda *arguments: pytest.fail("it worked")) == 0


def _process(folder: Path, program: str = STAND_IN) -> tuple[WorkerProcess, Path, io.StringIO]:
    marks, stream = folder / "marks", io.StringIO()
    command = (sys.executable, "-c", program, str(marks))
    service, engine, storage = _settings()
    return WorkerProcess(service, engine, storage, open_log(service, stream), command), marks, stream


def test_the_child_gets_its_settings_and_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    worker, marks, stream = _process(tmp_path)
    worker.start()
    _wait(lambda: marks.exists() and marks.read_text().endswith("\n"))
    assert worker.pid is not None
    worker.stop()
    assert worker.pid is None
    assert marks.read_text() == f"{len(encoded(*_settings())) + 1}\n"
    assert stream.getvalue() == ""


def test_a_child_that_dies_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "FIRST_PAUSE", 0.01)
    worker, _, stream = _process(tmp_path)
    worker.start()
    first = worker.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    _wait(lambda: worker.pid not in (None, first))
    worker.stop()
    line = json.loads(stream.getvalue().splitlines()[0])
    assert (line["event"], line["exit_code"]) == ("worker_died", -signal.SIGKILL)


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, _, stream = _process(tmp_path, "import time; time.sleep(600)")
    monkeypatch.setattr(worker, "_seconds", -14.5)
    worker.start()
    worker.stop()
    assert json.loads(stream.getvalue())["event"] == "worker_killed"


def _wait(condition: object) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)
