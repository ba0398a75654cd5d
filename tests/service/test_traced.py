from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mien.errors import Canceled, JobBusy, MienError, NoFace
from mien.jobs.job import JobStep
from mien.service.running import WrongQueue
from mien.service.settings import ServiceSettings
from mien.service.steps import StepDone
from mien.service.traced import TracedChain, TracedKind, TracedSteps, traced_kinds, traced_steps
from mien.service.tracing import OFF, Tracing, open_tracing
from mien.storage import StorageSettings, open_storage
from tests.service.test_tracing import NOWHERE, Kept, attributes


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def tracing(kept: Kept) -> Iterator[Tracing]:
    found = open_tracing(NOWHERE, kept)
    yield found
    found.close()


def _attempt(why: str | None = None, **request: str) -> Any:
    row = SimpleNamespace(id="job_1", fence=2, kind="faces", request=request)
    return SimpleNamespace(row=row, why=why)


@pytest.mark.parametrize(
    ("error", "why", "outcome"),
    [
        (None, None, "completed"),
        (NoFace("None."), None, "failed"),
        (Canceled("Stop."), "late", "late"),
        (Canceled("Stop."), None, "canceled"),
        (JobBusy("Another."), None, "overtaken"),
        (WrongQueue("video"), None, "moved to video"),
    ],
)
def test_a_run_says_how_it_ended(
    error: Exception | None, why: str | None, outcome: str, tracing: Tracing, kept: Kept, tmp_path: Path
) -> None:
    class Kind:
        def run(self, attempt: Any, folder: Path) -> None:
            if error is not None:
                raise error

    kind = TracedKind(Kind(), tracing)
    if error is None:
        kind.run(_attempt(why), tmp_path)
    else:
        with pytest.raises(type(error)):
            kind.run(_attempt(why), tmp_path)
    tracing.close()
    found = attributes(kept.named("job"))
    code = {"error.type": error.code if isinstance(error, MienError) else "WrongQueue"} if error else {}
    assert found == {
        "mien.job_id": "job_1",
        "mien.attempt": 2,
        "mien.kind": "faces",
        "mien.outcome": outcome,
        **code,
    }


def test_a_step_and_what_it_stores_belong_to_the_request_of_its_job(
    tracing: Tracing, kept: Kept, tmp_path: Path
) -> None:
    chain = TracedChain(open_storage(StorageSettings(local_path=tmp_path / "storage")), tracing)
    file = tmp_path / "a.txt"
    file.write_text("text")

    class Runner:
        def run(self, task: Any) -> StepDone:
            chain.put_file(file)
            return StepDone((file,), frames=7, faces=2, models=("m",))

    steps = TracedSteps(Runner(), tracing)

    class Kind:
        def run(self, attempt: Any, folder: Path) -> None:
            step = JobStep({"processors": ["face_swapper"]})
            steps.run(SimpleNamespace(row=attempt.row, index=0, step=step))  # type: ignore[arg-type]

    with tracing.span("request"):
        traceparent = tracing.carried() or ""
    TracedKind(Kind(), tracing).run(_attempt(traceparent=traceparent), tmp_path)
    tracing.close()
    chain_of_spans = [kept.named(name) for name in ("request", "job", "step", "storage put")]
    for outer, inner in pairwise(chain_of_spans):
        assert inner.parent is not None
        assert inner.parent.span_id == outer.get_span_context().span_id  # type: ignore[union-attr]
    step, put = (attributes(span) for span in chain_of_spans[2:])
    assert step == {
        "mien.job_id": "job_1",
        "mien.step": 0,
        "mien.processors": ("face_swapper",),
        "mien.models": ("m",),
        "mien.frames": 7,
        "mien.faces": 2,
    }
    assert put == {"mien.bytes": 4, "mien.storage": "local"}


def test_without_tracing_nothing_stands_between() -> None:
    kinds: Any = {"faces": object()}
    assert traced_kinds(kinds, OFF) is kinds
    assert traced_steps(kinds, OFF) is kinds
    assert open_tracing(ServiceSettings()) is OFF
