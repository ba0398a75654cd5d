from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import (
    AssetMissing,
    Forbidden,
    InputError,
    MienError,
    ModelForbidden,
    NotFound,
    OptionError,
    UnsafeInput,
)
from mien.service.problems import Problems

ERRORS = st.sampled_from([InputError, OptionError, Forbidden, ModelForbidden, UnsafeInput])
FIELDS = st.sampled_from(["target", "sources.0", ""])
FOUND = st.lists(st.tuples(FIELDS, ERRORS, st.sampled_from(["One.", "Two.", ""])), max_size=5)


def test_where_nothing_is_wrong_nothing_is_refused() -> None:
    problems = Problems()
    with problems.at("target"):
        pass
    problems.refuse()
    assert problems.found == []


def test_after_an_error_it_goes_on_behind_the_block() -> None:
    problems, reached = Problems(), []
    with problems.at("target"):
        reached.append("begun")
        raise InputError("The target is empty.")
    reached.append("behind")
    with problems.at("sources.0"):
        raise OptionError("No source.")
    assert reached == ["begun", "behind"]
    assert [(field, str(error)) for field, error in problems.found] == [
        ("target", "The target is empty."),
        ("sources.0", "No source."),
    ]


@settings(deadline=None, max_examples=40)
@given(FOUND)
def test_the_first_error_is_raised_with_the_fields_of_all(wrong: list[tuple[str, type, str]]) -> None:
    problems = Problems()
    for field, kind, text in wrong:
        problems.add(field, kind(text))
    if not wrong:
        problems.refuse()
        return
    with pytest.raises(MienError) as caught:
        problems.refuse()
    assert type(caught.value) is wrong[0][1]
    assert caught.value.details == tuple((field, text) for field, _, text in wrong)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "Wrong."),
        (2, "Wrong. 1 more field is wrong."),
        (4, "Wrong. 3 more fields are wrong."),
    ],
)
def test_the_sentence_says_how_many_others_there_are(count: int, said: str) -> None:
    problems = Problems()
    for number in range(count):
        problems.add(f"sources.{number}", InputError("Wrong."))
    with pytest.raises(InputError) as caught:
        problems.refuse()
    assert str(caught.value) == said


def test_refused_twice_it_is_the_same_sentence() -> None:
    problems = Problems()
    problems.add("a", InputError("Wrong."))
    problems.add("b", InputError("Wrong too."))
    said = []
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            problems.refuse()
        said.append((str(caught.value), caught.value.details))
    assert said[0] == said[1]


def test_what_a_body_names_and_is_not_there_is_wrong_input_not_a_missing_page() -> None:
    for error in (AssetMissing("There is no asset a."), NotFound("There is no draft b.")):
        problems = Problems()
        with problems.at("target"):
            raise error
        with pytest.raises(InputError, match="There is no") as caught:
            problems.refuse()
        assert type(caught.value) is InputError
        assert (caught.value.code, caught.value.http_status) == ("invalid_input", 422)


def test_a_defect_is_no_problem_of_the_request() -> None:
    problems = Problems()
    with pytest.raises(ZeroDivisionError), problems.at("target"):
        raise ZeroDivisionError
    assert problems.found == []


def test_problems_of_a_part_keep_their_order_and_get_the_names_of_the_whole() -> None:
    whole, part = Problems(), Problems()
    whole.add("name", InputError("One."))
    part.add("target", InputError("Two."))
    part.add("sources.0", InputError("Three."))
    whole.take(part, lambda field: f"steps.1.{field}")
    assert [field for field, _ in whole.found] == ["name", "steps.1.target", "steps.1.sources.0"]
    assert [field for field, _ in part.found] == ["target", "sources.0"]
