"""Makes a stored step of what a command line says: all keys that FaceFusion expects, and ours where they were given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mien.cli.flags import panel_title
from mien.cli.job_command import Section
from mien.cli.job_options import FILES, LegacyOptions, only
from mien.cli.program import Program, processor_groups
from mien.cli.run_options import PathOptions, processors_option
from mien.options import Declared, declared

if TYPE_CHECKING:
    from mien.jobs.job import JobStep

DEFAULT_PROCESSORS = ("face_swapper",)


def step_sections(program: Program, *files: str) -> list[Section]:
    """The options of a step; those of processors fill most of the help and are folded."""
    found = [Section("Files", only(PathOptions, *files))] if files else []
    found.append(Section("Processors", (processors_option(tuple(program.processors())),)))
    found += [Section(panel_title(group), declared(group)) for group in program.step_groups()]
    found += [
        Section(panel_title(group), declared(group), folded=True)
        for group in processor_groups(program).values()
    ]
    return [*found, Section(LegacyOptions.title, declared(LegacyOptions), folded=True)]


def step_keys(program: Program) -> frozenset[str]:
    """The keys of all options that the engine knows."""
    groups = (*program.step_groups(), *processor_groups(program).values())
    return frozenset(item.key for group in groups for item in declared(group))


def make_step(program: Program, values: Mapping[str, Any], files: Mapping[str, Any] | None = None) -> JobStep:
    """A drafted step of the values that were said; ``files`` replaces what they say of files."""
    from mien.jobs.facefusion import STEP_DEFAULTS, default_of
    from mien.jobs.job import JobStep

    groups = (*program.step_groups(), *processor_groups(program).values())
    items: dict[str, Declared] = {item.key: item for group in groups for item in declared(group)}
    said = {**values, **(files or {})}
    said.setdefault("processors", DEFAULT_PROCESSORS)
    args = {key: said[key] if key in said else default_of(key, said) for key in STEP_DEFAULTS}
    args |= {key: said[key] for key in items if key in said and key not in STEP_DEFAULTS}
    open = tuple(key for key in args if key not in said and _may_be_improved(key, args, items))
    return JobStep({key: _as_json(value) for key, value in args.items()}, open=open)


def _may_be_improved(key: str, args: Mapping[str, Any], items: Mapping[str, Declared]) -> bool:
    """Whether the engine may put something better in the place of this default: another model, another encoder."""
    if key in FILES or key not in items:
        return False
    if items[key].default is None and args[key] is not None:
        return True
    return key.endswith("_model") and args.get("compat") != "facefusion"


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
