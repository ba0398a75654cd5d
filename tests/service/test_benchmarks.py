from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from mien.comfyui import ComfySettings
from mien.errors import Canceled, InputError, NoFace, OptionError, QueueFull
from mien.jobs import states
from mien.pipeline.progress import Progress
from mien.service import benchmarks as module
from mien.service.attempt import Attempt
from mien.service.benchmarks import BenchmarkRequest, Benchmarks
from mien.service.callers import Caller
from mien.service.service import Service
from mien.settings import Settings
from tests.pipeline.fakes import PROCESSORS, Inverter, fake_engine
from tests.service.comfy_places import make_service
from tests.service.workplaces import Workplace, new_job, workplace

ANN = Caller("ann")


class Talker(Inverter):
    """Works by sound."""

    name = "talker"
    source_kind = "audio"


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[Service]:
    processors = {**PROCESSORS, "talker": Talker()}
    with make_service(tmp_path, ComfySettings(), processors) as service:
        yield service


def asked(**fields: Any) -> BenchmarkRequest:
    return BenchmarkRequest.model_validate({"processors": ["inverter"], **fields})


def test_each_size_is_a_step_once_in_the_order_of_the_request(talking: Service) -> None:
    wanted = asked(resolutions=["720p", "240p", "720p"], cycles=3, options={"inverter_strength": 7})
    row = talking.desk.benchmark(wanted, ANN, "seed")
    assert (row.id, row.owner, row.kind, row.status) == ("job_seed", "ann", "benchmark", "queued")
    common = {"processors": ["inverter"], "benchmark_cycle_count": 3, "inverter_strength": 7}
    assert [
        {key: value for key, value in step.args.items() if key != "content_policy"} for step in row.job.steps
    ] == [{**common, "benchmark_resolutions": size} for size in ("720p", "240p")]
    assert {step.args["content_policy"] for step in row.job.steps} == {talking.settings.content_policy}


def test_given_twice_with_one_seed_it_is_one_job(talking: Service) -> None:
    first, second = (talking.desk.benchmark(asked(), ANN, "seed") for _ in range(2))
    assert first.seq == second.seq
    assert talking.store.counts("ann") == {"queued": 1}


def test_without_wishes_the_smallest_clip_is_swapped_five_times() -> None:
    usual = BenchmarkRequest()
    assert (usual.resolutions, usual.cycles, usual.processors, usual.options) == (["240p"], 5, None, {})


@pytest.mark.parametrize(
    "wrong",
    [{"resolutions": []}, {"resolutions": ["100p"]}, {"cycles": 0}, {"cycles": 11}, {"sources": ["a"]},
     {"resolutions": ["240p"] * 8}],
)  # fmt: skip
def test_requests_of_another_form_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BenchmarkRequest.model_validate(wrong)


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"processors": ["sculptor"]}, "processors.0", "There is no processor sculptor"),
        ({"processors": []}, "processors", "at least one processor"),
        ({"processors": ["talker"]}, "processors",
         "The processor talker works by sound, of which the clips of a benchmark have none."),
        ({"options": {"background_remover_picture": "a" * 64}}, "options.background_remover_picture",
         "A benchmark takes no files of yours, so leave background_remover_picture out."),
        ({"options": {"nothing": 1}}, "options.nothing", "nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_by_field(
    talking: Service, wrong: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises((InputError, OptionError), match=said) as caught:
        talking.desk.benchmark(asked(**wrong), ANN, "seed")
    assert [name for name, _ in caught.value.details] == [field]
    assert talking.store.counts(None) == {}


def test_it_waits_in_the_queue_like_all_jobs(talking: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    full = talking.settings.model_copy(update={"max_queue": 1})
    monkeypatch.setattr(talking.limits, "_settings", full)
    talking.desk.benchmark(asked(), ANN, "one")
    with pytest.raises(QueueFull):
        talking.desk.benchmark(asked(), ANN, "two")
    assert talking.store.counts(None) == {"queued": 1}


class Measuring:
    """Stands in for what measures: each run of a size takes as many seconds as it has lines, in hundreds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[tuple[str, dict[str, Any], int]] = []
        self.errors: dict[str, Exception] = {}
        monkeypatch.setattr(module, "bench_step", self.step)
        monkeypatch.setattr(module, "measure_warm", self.measure)

    def step(self, portraits: Any, folder: Path, size: str, processors: Any, options: Any) -> Any:
        assert folder.is_dir()
        return SimpleNamespace(portraits=portraits, processors=processors, options=dict(options))

    def measure(self, engine: Any, step: Any, row: Any, cycles: int, cancel: Any, report: Any) -> None:
        self.sizes.append((row.resolution, step.options, cycles))
        cancel.raise_if_set()
        if row.resolution in self.errors:
            raise self.errors.pop(row.resolution)
        report(Progress("process", 10, 20))
        seconds = int(row.resolution[:-1]) / 100
        row.first, row.seconds, row.models = 2 * seconds, [seconds] * cycles, ("m",)


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Measuring:
    return Measuring(monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    with workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data") as made:
        yield made


def stored(place: Workplace, *sizes: str) -> None:
    steps = [
        {"processors": ["inverter"], "benchmark_resolutions": size, "benchmark_cycle_count": 2,
         "inverter_strength": 9, "content_policy": "off"}
        for size in sizes
    ]  # fmt: skip
    place.store.insert([new_job("job_1", *steps, kind="benchmark", owner="ann")])


def run(place: Workplace, folder: Path, *, stop: bool = False) -> Attempt:
    row = place.store.change("job_1", lambda job: states.begin(job, "worker"))
    attempt = Attempt(place.store, place.events, row, time.monotonic() + 600)
    if stop:
        attempt.stop("canceled")
    work = folder / f"run-{row.fence}"
    work.mkdir()
    with fake_engine(folder) as engine:
        portraits = (folder / "a.png", folder / "b.png")
        Benchmarks(lambda: engine, Settings(threads=1), place.assets, lambda store: portraits).run(
            attempt, work
        )
    return attempt


def test_all_figures_are_the_result(place: Workplace, measuring: Measuring, tmp_path: Path) -> None:
    stored(place, "720p", "240p")
    run(place, tmp_path)
    row = place.store.row("job_1")
    assert [step.status for step in row.job.steps] == ["completed", "completed"]
    options = {"inverter_strength": 9, "content_policy": "off"}
    assert measuring.sizes == [("720p", options, 2), ("240p", options, 2)]
    (record,) = row.results
    assert (record["name"], record["kind"], record["step"], record["index"]) == (
        "benchmark.json",
        "file",
        1,
        0,
    )
    report = json.loads(place.text(record, "ann"))
    assert (report["mode"], report["processors"], report["machine"]["threads"]) == ("warm", ["inverter"], 1)
    found = [(line["target_path"], line["average_run"], line["first_run"]) for line in report["results"]]
    assert found == [("clip-720p.mp4", 7.2, 14.4), ("clip-240p.mp4", 2.4, 4.8)]
    finished = row.job.steps[0].finished
    assert finished is not None
    assert finished.frames == 2 * report["results"][0]["frames"]
    done = [
        event.data
        for event in place.events.since("job_1")
        if event.type == "step" and "benchmark" in event.data
    ]
    assert [data["benchmark"] for data in done] == report["results"]
    assert row.progress is not None
    assert (row.progress["message"], row.progress["step"], row.progress["steps"]) == ("720p", 0, 2)


def test_another_worker_goes_on_with_the_next_size(
    place: Workplace, measuring: Measuring, tmp_path: Path
) -> None:
    stored(place, "720p", "240p")
    measuring.errors["240p"] = NoFace("There is no face.")
    with pytest.raises(NoFace):
        run(place, tmp_path)
    row = place.store.row("job_1")
    assert (list(row.external["benchmark"]), row.results) == (["720p"], ())
    run(place, tmp_path)
    assert [size for size, _, _ in measuring.sizes] == ["720p", "240p", "240p"]
    report = json.loads(place.text(place.store.row("job_1").results[0], "ann"))
    assert [line["target_path"] for line in report["results"]] == ["clip-720p.mp4", "clip-240p.mp4"]


def test_one_that_is_to_stop_measures_nothing(place: Workplace, measuring: Measuring, tmp_path: Path) -> None:
    stored(place, "240p")
    with pytest.raises(Canceled):
        run(place, tmp_path, stop=True)
    assert measuring.sizes == []
    assert place.store.row("job_1").results == ()
