from __future__ import annotations

import pytest

from mien.errors import Forbidden, OptionError
from mien.service.callers import LOCAL, Caller, checked_limits, checked_scopes


def test_without_keys_everybody_may_do_everything() -> None:
    assert LOCAL.is_admin
    assert LOCAL.owner == ""


def test_a_scope_that_is_missing_is_named_with_the_key() -> None:
    caller = Caller("a", "k1", frozenset({"read"}))
    caller.check("read")
    with pytest.raises(Forbidden, match="k1 lacks the scope submit"):
        caller.check("submit")


def test_admin_has_all_scopes() -> None:
    assert Caller("a", "k1", frozenset({"admin"})).may("submit")


def test_scopes_come_in_one_order_and_unknown_ones_are_refused() -> None:
    assert checked_scopes(["admin", "submit"]) == ("submit", "admin")
    with pytest.raises(OptionError, match="'root' is none"):
        checked_scopes(["root"])
    with pytest.raises(OptionError, match="none was given"):
        checked_scopes([])


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"speed": 1.0}, "no limit"), ({"max_queue": 0.0}, "above 0"), ({"max_queue": -1.0}, "above 0")],
)
def test_limits_of_keys_are_checked(limits: dict[str, float], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        checked_limits(limits)
