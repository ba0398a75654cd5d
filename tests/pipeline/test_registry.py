from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from mien.errors import OptionError
from mien.options import Options
from mien.pipeline.registry import GROUP, PluginError, Registry, named, option_groups
from mien.processors.base import Processor


class Plain(Processor[Options, None]):
    name = "plain"
    Options = Options


NOT_A_PROCESSOR = object()


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


@pytest.fixture
def registry() -> Registry:
    here = __name__
    return Registry(
        {
            "plain": point("plain", f"{here}:Plain"),
            "broken": point("broken", "no_such_module_anywhere:Thing"),
            "wrong": point("wrong", f"{here}:NOT_A_PROCESSOR"),
        }
    )


def test_processors_are_made_once_and_only_when_asked_for(registry: Registry) -> None:
    assert list(registry) == ["broken", "plain", "wrong"]
    assert len(registry) == 3
    assert isinstance(registry["plain"], Plain)
    assert registry["plain"] is registry["plain"]


def test_a_broken_plugin_says_its_name(registry: Registry) -> None:
    with pytest.raises(PluginError, match=r"broken \(no_such_module_anywhere:Thing\)"):
        registry["broken"]
    with pytest.raises(PluginError, match="not a Processor"):
        registry["wrong"]


def test_a_broken_plugin_does_not_hide_the_options_of_the_others(registry: Registry) -> None:
    assert option_groups(registry) == (Options,)


def test_an_unknown_processor_is_refused_with_the_nearest_name(registry: Registry) -> None:
    with pytest.raises(OptionError, match="did you mean plain"):
        named(registry, "plian")
    with pytest.raises(OptionError, match="known are broken, plain, wrong"):
        named(registry, "zzzzzz")


def test_installed_processors_are_found_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [point("plain", f"{__name__}:Plain")]
    monkeypatch.setattr("mien.pipeline.registry.entry_points", lambda group: found if group == GROUP else [])
    assert isinstance(Registry()["plain"], sys.modules[__name__].Plain)
