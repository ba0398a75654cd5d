"""Chooses models where the user names none: the best that is present, else one that the package index carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mien.errors import ModelUnknown
from mien.options import Declared, Options, build, declared
from mien.pipeline.registry import AnyProcessor

if TYPE_CHECKING:
    from mien.models.store import ModelStore

Needs = Callable[[Any], Sequence[str]]
"""Options of a group -> names of the catalogue entries that they need."""


def with_models(
    values: Mapping[str, Any],
    chain: Mapping[str, AnyProcessor],
    store: ModelStore,
    notice: Callable[[str], None],
) -> dict[str, Any]:
    """``values`` and a model for every processor of the chain that has a choice of models and for which none is named.

    The default comes first, then the other choices in their order; one that is not here is never downloaded because
    of this. A choice that differs from the default is told in one notice.
    """
    chosen = dict(values)
    if values.get("compat") == "facefusion":
        return chosen
    for name, processor in chain.items():
        item = model_option(processor.Options)
        if item is None or item.key in values:
            continue
        choice = best_present(item, processor.Options, values, processor.models, store)
        if choice != item.default:
            notice(
                f"No model was named for {name.replace('_', ' ')}: using {choice}, the best that is here "
                f"({item.key} names another one)."
            )
        chosen[item.key] = choice
    return chosen


def best_present(
    item: Declared, group: type[Options], values: Mapping[str, Any], needs: Needs, store: ModelStore
) -> Any:
    """The first choice whose models are all here, else the first that needs no hub, else the default."""
    choices = [item.default, *(choice for choice in item.choices if choice != item.default)]
    wanted = {choice: tuple(needs(build(group, {**values, item.key: choice}))) for choice in choices}
    for accept in (_is_present, _is_built_in):
        for choice in choices:
            if all(accept(store, id) for id in wanted[choice]):
                return choice
    return item.default


def built_in_choice(
    item: Declared, group: type[Options], values: Mapping[str, Any], needs: Needs, store: ModelStore
) -> Any | None:
    """The first choice that needs models of the package index only; None where there is none."""
    for choice in item.choices:
        if all(_is_built_in(store, id) for id in needs(build(group, {**values, item.key: choice}))):
            return choice
    return None


def model_option(group: type[Options]) -> Declared | None:
    """The option of a group that names its model, if it has one."""
    return next((item for item in declared(group) if item.name == "model" and item.choices), None)


def _is_present(store: ModelStore, id: str) -> bool:
    try:
        return store.find(id) is not None
    except ModelUnknown:
        return False


def _is_built_in(store: ModelStore, id: str) -> bool:
    """Whether the package index carries all files of the model."""
    return id in store.catalogue and all(file.wheels for file in store.catalogue[id].files)
