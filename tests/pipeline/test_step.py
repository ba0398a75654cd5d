from __future__ import annotations

from pathlib import Path

import pytest

from mien.errors import OptionError
from mien.pipeline.step import Step, paths


def test_paths_and_names_may_be_given_as_text() -> None:
    step = Step("in.png", "out.png", "face.jpg", "face_debugger")  # type: ignore[arg-type]
    assert step.target == Path("in.png")
    assert step.output == Path("out.png")
    assert step.sources == (Path("face.jpg"),)
    assert step.processors == ("face_debugger",)


def test_options_cannot_be_changed_afterwards() -> None:
    options = {"face_swapper_weight": 0.5}
    step = Step(Path("a"), Path("b"), options=options)
    options["face_swapper_weight"] = 1.0
    assert step.options["face_swapper_weight"] == 0.5
    with pytest.raises(TypeError):
        step.options["x"] = 1  # type: ignore[index]


def test_a_step_without_processors_is_refused() -> None:
    with pytest.raises(OptionError, match="at least one processor"):
        Step(Path("a"), Path("b"), processors=())


def test_paths_of_several() -> None:
    assert paths(["a", Path("b")]) == (Path("a"), Path("b"))
