import inspect
import re

import pytest

from mien import errors
from mien.errors import MienError

ALL = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, MienError)]


def test_the_drawing_at_the_top_is_the_tree() -> None:
    drawn = re.findall(r"(?m)^[ │├└─]*(\w+)(?: {2,}(\w+))?$", errors.__doc__ or "")
    codes = {name: code for name, code in drawn if hasattr(errors, name)}
    assert {item.__name__ for item in ALL} == set(codes)
    assert all(codes[item.__name__] in ("", item.code) for item in ALL)


def test_every_code_is_its_own() -> None:
    assert len({item.code for item in ALL}) == len(ALL)


@pytest.mark.parametrize("item", ALL)
def test_an_error_says_its_sentence_and_fits_its_borders(item: type[MienError]) -> None:
    assert str(item("One sentence.")) == "One sentence."
    assert 1 <= item.exit_code <= 130
    assert 400 <= item.http_status < 600


def test_an_error_is_found_by_its_code() -> None:
    for item in ALL:
        assert errors.kind_of(item.code) is item
    assert errors.kind_of("none") is None


def test_callers_catch_what_they_expect() -> None:
    assert issubclass(errors.InputMissing, FileNotFoundError)
    assert issubclass(errors.OutputError, OSError)
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.OutOfMemory, MemoryError)
