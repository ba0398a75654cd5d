from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mien.faces.options import GROUPS
from mien.options import Declared, declared
from mien.service.problems import Problems
from mien.service.words import checked, from_text

ITEMS = [item for group in GROUPS for item in declared(group)]


@given(st.sampled_from(ITEMS), st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_any_text_is_a_value_or_a_problem_of_that_option(item: Declared, words: list[str]) -> None:
    problems = Problems()
    found = checked({item.key: from_text(words, item)}, GROUPS, problems)
    assert set(found) <= {item.key}
    wrong = [field for field, _ in problems.found]
    assert set(wrong) <= {f"options.{item.key}", "options"}
    assert not (wrong and found)


@given(st.sampled_from([item for item in ITEMS if item.default not in (None, ())]))
def test_defaults_survive_the_way_through_a_form(item: Declared) -> None:
    values = item.default if item.many else [item.default]
    words = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    problems = Problems()
    found = checked({item.key: from_text(words, item)}, GROUPS, problems)
    problems.refuse()
    assert found[item.key] == (list(item.default) if item.many else item.default)
