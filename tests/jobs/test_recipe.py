"""Face maps on their way from a job file to the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.errors import OptionError
from mien.jobs.codec import decode, encode
from mien.jobs.job import Job, JobStep
from mien.jobs.recipe import inputs_of, recipe_of


def step_of(folder: Path, face_map: Any) -> JobStep:
    for name in ("target.png", "me.png", "you.png"):
        (folder / name).write_bytes(name.encode())
    args = {
        "source_paths": [],
        "target_path": str(folder / "target.png"),
        "output_path": str(folder / "out.png"),
        "processors": ["face_swapper"],
        "face_map": face_map,
    }
    return JobStep({key: value for key, value in args.items() if value is not None})


def entry(folder: Path, name: str) -> dict[str, Any]:
    return {"face": {"frame": 2, "box": [1.5, 2, 30, 40]}, "sources": [str(folder / name)]}


def test_a_face_map_survives_the_job_file_and_reaches_the_engine(tmp_path: Path) -> None:
    job = Job(
        id="mapped",
        created="2026-01-01T00:00:00+00:00",
        steps=(step_of(tmp_path, [entry(tmp_path, "me.png")]),),
    )
    again = decode(job.id, "drafted", encode(job))
    (person,) = recipe_of(again, 0, frozenset()).people
    assert (person.face.frame, person.face.box.as_tuple()) == (2, (1.5, 2, 30, 40))
    assert person.sources == (tmp_path / "me.png",)
    assert (
        recipe_of(
            Job(id="plain", created="2026-01-01T00:00:00+00:00", steps=(step_of(tmp_path, None),)),
            0,
            frozenset(),
        ).people
        == ()
    )


def test_another_source_of_the_map_is_another_piece_of_work(tmp_path: Path) -> None:
    step = step_of(tmp_path, [entry(tmp_path, "me.png")])
    inputs = inputs_of(step)
    assert inputs == inputs_of(step) != inputs_of(step_of(tmp_path, [entry(tmp_path, "you.png")]))
    (tmp_path / "me.png").write_bytes(b"another picture")
    assert inputs_of(step) not in (None, inputs)
    (tmp_path / "me.png").unlink()
    assert inputs_of(step) is None


def test_a_map_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    job = Job(id="wrong", created="2026-01-01T00:00:00+00:00", steps=(step_of(tmp_path, [{"face": "left"}]),))
    with pytest.raises(OptionError, match="Entry 0"):
        recipe_of(job, 0, frozenset())
