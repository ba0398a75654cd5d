from typing import Literal

import pytest
from pydantic import field_validator

from mien.errors import OptionError
from mien.options import Options, allowed, build, check_keys, declared, option


class Sample(Options):
    group = "sample"
    section = "things"

    model: Literal["a", "b"] = option("a", help="Which one.")
    weight: float = option(0.5, ge=0.0, le=1.0, step=0.05, help="How much.", unit="%")
    areas: tuple[Literal["x", "y"], ...] = option(("x",), help="Where.", advanced=True)
    age: int | None = option(None, ge=0, le=100, help="How old.", key="other_age")
    loud: bool = option(False, help="Whether.")
    even: int = option(2, help="An even number.")

    @field_validator("even")
    @classmethod
    def _is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("give an even number")
        return value


BY_KEY = {item.key: item for item in declared(Sample)}


def test_every_surface_reads_the_same_declaration() -> None:
    weight = BY_KEY["sample_weight"]
    assert weight.flag == "--sample-weight"
    assert (weight.kind, weight.ge, weight.le, weight.step) == ("float", 0.0, 1.0, 0.05)
    assert (weight.section, weight.unit, weight.help, weight.default) == ("things", "%", "How much.", 0.5)
    assert BY_KEY["sample_model"].choices == ("a", "b")
    assert not weight.many
    assert not weight.optional


def test_lists_unset_values_and_other_keys_are_told_apart() -> None:
    areas, age = BY_KEY["sample_areas"], BY_KEY["other_age"]
    assert areas.many
    assert areas.advanced
    assert areas.choices == ("x", "y")
    assert age.optional
    assert age.flag == "--other-age"
    assert age.kind == "int"
    assert BY_KEY["sample_loud"].kind == "bool"


def test_build_takes_flat_keys_and_leaves_those_of_others() -> None:
    built = build(Sample, {"sample_weight": 1, "other_age": 7, "face_swapper_weight": 9})
    assert (built.weight, built.age, built.model) == (1.0, 7, "a")
    with pytest.raises(Exception, match="frozen"):
        built.weight = 0.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("sample_model", "c", "sample_model cannot be 'c': choose from a, b."),
        ("sample_weight", 1.5, "sample_weight cannot be 1.5: give a number from 0 to 1."),
        ("sample_areas", ("x", "z"), "sample_areas cannot be ('x', 'z'): choose from x, y."),
        ("other_age", "old", "other_age cannot be 'old': give a number from 0 to 100."),
        ("sample_loud", "perhaps", "sample_loud cannot be 'perhaps': give true or false."),
        ("sample_even", 3, "sample_even cannot be 3: give an even number."),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(key: str, value: object, sentence: str) -> None:
    with pytest.raises(OptionError) as caught:
        build(Sample, {key: value})
    assert str(caught.value) == sentence


def test_unknown_keys_are_refused_with_the_nearest_name() -> None:
    check_keys({"sample_weight": 1}, [Sample])
    with pytest.raises(OptionError, match="no option sample_wieght; did you mean sample_weight"):
        check_keys({"sample_wieght": 1}, [Sample])
    with pytest.raises(OptionError, match=r"no option zzz; .*docs/options\.md"):
        check_keys({"zzz": 1}, [Sample])


def test_allowed_says_nothing_where_anything_goes() -> None:
    class Free(Options):
        name: str = option("", help="Any text.")

    assert allowed(declared(Free)[0]) == ""


def test_types_that_no_surface_can_show_are_refused() -> None:
    class Odd(Options):
        value: bytes = option(b"", help="Bytes.")

    with pytest.raises(TypeError, match="cannot be of type"):
        declared(Odd)
