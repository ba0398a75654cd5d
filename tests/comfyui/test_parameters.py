from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mien.comfyui.parameters import MAX_SEED, Parameter
from mien.errors import InputMissing, WorkflowInvalid


def parameter(type: str, **more: Any) -> Parameter:
    return Parameter.model_validate({"name": "it", "type": type, **more})


@pytest.mark.parametrize(
    ("type", "limits", "value", "used"),
    [
        ("str", {}, "a", "a"),
        ("int", {"min": 1, "max": 4}, 4.0, 4),
        ("float", {"max": 2}, 1, 1.0),
        ("bool", {}, False, False),
        ("choice", {"choices": ["a", "b"]}, "b", "b"),
        ("choice", {}, "what the instance offers", "what the instance offers"),
        ("seed", {}, 2**64 - 1, 2**64 - 1),
        ("resolution", {"step": 8}, "768x512", (768, 512)),
        ("resolution", {}, [3, 4], (3, 4)),
    ],
)
def test_values_that_are_allowed(type: str, limits: dict[str, Any], value: Any, used: Any) -> None:
    found = parameter(type, **limits).check(value)
    assert found == used
    assert found.__class__ is used.__class__


@pytest.mark.parametrize(
    ("type", "limits", "value", "why"),
    [
        ("str", {}, 3, "is not a text"),
        ("str", {"max": 2}, "abc", "has 3 characters, and 2 are allowed"),
        ("str", {}, ["1", 0], "is not a text"),
        ("int", {}, True, "a whole number is needed"),
        ("int", {}, 1.5, "a whole number is needed"),
        ("int", {"max": 2}, 3, "is 3, and at most 2 is allowed"),
        ("float", {}, float("nan"), "a number is needed"),
        ("float", {"min": 0}, -1.0, "at least 0"),
        ("bool", {}, "true", "true or false is needed"),
        ("choice", {"choices": ["a"]}, "b", "it can be a"),
        ("seed", {}, -1, "between 0"),
        ("resolution", {}, "big", "a size such as 768x512"),
        ("resolution", {"step": 8}, "770x512", "has a width of 770, which is no multiple of 8"),
        ("resolution", {"max": 64}, "8x65", "has a height of 65, and at most 64"),
    ],
)
def test_values_that_are_not(type: str, limits: dict[str, Any], value: Any, why: str) -> None:
    with pytest.raises(WorkflowInvalid, match="The parameter it ") as caught:
        parameter(type, **limits).check(value)
    assert why in str(caught.value)


def test_a_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="of the parameter it does not exist"):
        parameter("image").check(str(tmp_path / "nothing.png"))


def test_a_default_must_be_allowed() -> None:
    with pytest.raises(ValidationError, match="the default is not allowed"):
        parameter("int", max=2, default=3)


@given(st.integers(0, MAX_SEED), st.integers(0, 1000))
def test_drawn_seeds_lie_in_their_range(low: int, width: int) -> None:
    high = min(low + width, MAX_SEED)
    assert low <= parameter("seed", min=low, max=high).draw() <= high


def test_two_drawn_seeds_differ() -> None:
    assert len({parameter("seed").draw() for _ in range(20)}) == 20
