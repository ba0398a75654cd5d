"""Checks a step as far as that is possible without working on it, and says what exactly is to be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mien.errors import CorruptMedia, InputError, MediaTooLarge, OptionError, UnsupportedMedia
from mien.options import Options, build, check_keys
from mien.pipeline.choice import with_models
from mien.pipeline.output_options import GROUPS, FrameExtractionOptions, OutputOptions, WorkflowOptions
from mien.pipeline.registry import AnyProcessor, named, option_groups
from mien.pipeline.step import Step

if TYPE_CHECKING:
    from mien.models.store import ModelStore
    from mien.settings import Settings
    from mien.types import MediaInfo, MediaKind

O = TypeVar("O", bound=Options)  # noqa: E741

GROWTH = 4
"""A result may have as many times the pixels of the largest input."""
_MODES: Mapping[str, str] = {"image-to-image": "image", "image-to-video": "video"}


@dataclass(frozen=True, slots=True)
class Link:
    """One processor of the chain with its options."""

    name: str
    processor: AnyProcessor
    options: Options


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked step: every option has a value, every file was looked at, every processor is known."""

    step: Step
    target: MediaInfo
    kind: MediaKind
    output_format: str
    chain: tuple[Link, ...]
    values: Mapping[str, Any]
    sound: Path | None
    """A source that replaces the sound of the target."""

    def settings_of(self, group: type[O]) -> O:
        """The values of an option group."""
        return build(group, self.values)

    @property
    def output(self) -> OutputOptions:
        """How the output is written."""
        return self.settings_of(OutputOptions)

    @property
    def part(self) -> FrameExtractionOptions:
        """Which part of the target is worked on."""
        return self.settings_of(FrameExtractionOptions)

    @property
    def workflow(self) -> WorkflowOptions:
        """How the work is done as a whole."""
        return self.settings_of(WorkflowOptions)

    @property
    def compat(self) -> bool:
        """Whether FaceFusion's arithmetic is repeated."""
        return self.workflow.compat == "facefusion"

    @property
    def needs_faces(self) -> bool:
        """Whether any processor works on faces."""
        return any(link.processor.needs_faces for link in self.chain)

    @property
    def sequential(self) -> bool:
        """Whether frames must be processed in order, one at a time."""
        return any(link.processor.in_order(link.options) for link in self.chain)

    @property
    def lookahead(self) -> int:
        """How many later frames must have been analysed before a frame is processed."""
        return max(link.processor.lookahead for link in self.chain)

    def warm_up(self, rate: float) -> int:
        """Frames before a part of the video that the processors must have seen."""
        return max(link.processor.warm_up(link.options, rate) for link in self.chain)

    @property
    def models(self) -> tuple[str, ...]:
        """Catalogue entries that the processors need, each once."""
        return tuple(dict.fromkeys(id for link in self.chain for id in self.models_of(link)))

    def models_of(self, link: Link) -> tuple[str, ...]:
        """Catalogue entries that one processor needs."""
        further = link.processor.further_models(link.options, self.target, self.settings_of)
        return *link.processor.models(link.options), *further

    def size_after(self, width: int, height: int) -> tuple[int, int]:
        """Size of a frame after all processors."""
        for link in self.chain:
            width, height = link.processor.output_size(link.options, width, height)
        return width, height


def make_plan(
    step: Step,
    processors: Mapping[str, AnyProcessor],
    store: ModelStore,
    settings: Settings,
    notice: Callable[[str], None],
) -> Plan:
    """Check everything that can be checked before work begins.

    Raises OptionError for processors and options, InputError for sources and target, UnsupportedMedia for an output
    that cannot be made of the target, OutputIsInput, OutputNotWritable.
    """
    from mien.media.atomic import check_writable, refuse_input_as_output

    chain = _chain_of(step, processors)
    kind, output_format = output_kind(step.output)
    sound = _sound_of(step)
    target = _target_of(step, settings)
    _check_kinds(step, target, kind, notice)
    refuse_input_as_output(step.output, (step.target, *step.all_sources))
    check_writable(step.output)
    return _planned(
        step, chain, store, notice, settings, target=target, output_format=output_format, sound=sound
    )


def make_unwritten_plan(
    step: Step,
    processors: Mapping[str, AnyProcessor],
    store: ModelStore,
    settings: Settings,
    notice: Callable[[str], None],
    target: MediaInfo | None = None,
) -> Plan:
    """As ``make_plan``, for work of which no file is made: the step's output is not looked at.

    ``target`` describes one that is no file, such as a camera.
    """
    chain = _chain_of(step, processors)
    sound = _sound_of(step)
    target = target or _target_of(step, settings)
    if target.kind == "audio":
        raise UnsupportedMedia(f"The target {step.target} holds sound only; give a picture or a video.")
    return _planned(step, chain, store, notice, settings, target=target, output_format="", sound=sound)


def _chain_of(step: Step, processors: Mapping[str, AnyProcessor]) -> dict[str, AnyProcessor]:
    """The processors of a step by name; raises OptionError for one that is not there, and for its options."""
    chain = {name: named(processors, name) for name in step.processors}
    check_keys(step.options, (*GROUPS, *option_groups(processors)))
    for group in (*GROUPS, *(processor.Options for processor in chain.values())):
        build(group, step.options)
    return chain


def _target_of(step: Step, settings: Settings) -> MediaInfo:
    from mien.media.probe import probe

    return probe(step.target, max_pixels=settings.max_pixels)


def _planned(
    step: Step,
    chain: Mapping[str, AnyProcessor],
    store: ModelStore,
    notice: Callable[[str], None],
    settings: Settings,
    *,
    target: MediaInfo,
    output_format: str,
    sound: Path | None,
) -> Plan:
    _check_sources(step, chain)
    _check_people(step, chain, target, notice)
    values = with_models(step.options, chain, store, notice)
    links = tuple(Link(name, chain[name], build(chain[name].Options, values)) for name in step.processors)
    plan = Plan(step, target, target.kind, output_format, links, values, sound)
    check_growth(plan, target.width, target.height, settings.max_pixels)
    return plan


def check_growth(plan: Plan, width: int, height: int, max_pixels: int) -> None:
    """Refuse frames that would grow until no memory holds them: raises MediaTooLarge."""
    scale = plan.output.video_scale if plan.kind == "video" else plan.output.image_scale
    grown_width, grown_height = plan.size_after(width, height)
    pixels = max(grown_width * grown_height, int(width * height * scale**2))
    if pixels > max_pixels * GROWTH:
        raise MediaTooLarge(
            f"{plan.step.target} would become a result of {pixels} pixels, more than {max_pixels * GROWTH}; "
            "enlarge it less, or raise max_pixels."
        )


def output_kind(output: Path) -> tuple[MediaKind, str]:
    """(kind, format) of an output by its ending; raises UnsupportedMedia. The format of a video is its ending."""
    endings = _endings()
    ending = output.suffix.lower().removeprefix(".")
    for kind, formats in endings.items():
        if ending in formats:
            return kind, formats[ending]
    known = ", ".join(f".{name}" for formats in endings.values() for name in formats)
    said = f"ends in .{ending}, which cannot be written" if ending else "has no ending that names its format"
    raise UnsupportedMedia(f"The output {output} {said}; use one of {known}.")


def _endings() -> Mapping[MediaKind, Mapping[str, str]]:
    from mien.media.writable import CONTAINERS, OUTPUT_FORMATS

    return {"image": OUTPUT_FORMATS, "video": {name: name for name in CONTAINERS}}


def _check_kinds(step: Step, target: MediaInfo, kind: MediaKind, notice: Callable[[str], None]) -> None:
    from mien.media.sniff import Sniffed, mislabelled

    wrong_name = mislabelled(step.target, Sniffed(target.kind, target.format))
    if target.kind == "audio":
        raise UnsupportedMedia(f"The target {step.target} holds sound only; give a picture or a video.")
    if target.kind != kind and wrong_name:
        raise CorruptMedia(wrong_name)
    if target.kind != kind:
        what = {"image": "a picture", "video": "a video"}[target.kind]
        known = ", ".join(f".{name}" for name in _endings()[target.kind])
        raise UnsupportedMedia(
            f"The target {step.target} is {what}, so the output must be one too, not {step.output.name}: "
            f"use one of {known}."
        )
    mode = build(WorkflowOptions, step.options).mode
    if mode != "auto" and _MODES[mode] != target.kind:
        raise OptionError(f"workflow_mode {mode} does not fit the target {step.target}.")
    if wrong_name:
        notice(wrong_name)


def _sound_of(step: Step) -> Path | None:
    """Look at every source; raises what sniffing raises, and UnsupportedMedia for a video."""
    from mien.media.sniff import sniff

    sound = None
    for source in step.sources:
        kind = sniff(source).kind
        if kind == "video":
            raise UnsupportedMedia(f"The source {source} is a video; sources are pictures or sound.")
        if kind == "audio" and sound is None:
            sound = source
    return sound


def _check_sources(step: Step, chain: Mapping[str, AnyProcessor]) -> None:
    for name, processor in chain.items():
        if processor.needs_source and not step.sources and not (processor.per_person and step.people):
            raise InputError(f"The processor {name} needs at least one source.")


def _check_people(
    step: Step, chain: Mapping[str, AnyProcessor], target: MediaInfo, notice: Callable[[str], None]
) -> None:
    """Raise OptionError for a face map that no processor reads or that lies outside of the target, InputError for
    its sources.
    """
    from mien.media.sniff import sniff

    if not step.people:
        return
    if not any(processor.per_person for processor in chain.values()):
        raise OptionError(
            f"A face map gives faces their own sources, but {', '.join(chain)} takes no pictures of a face."
        )
    for person in step.people:
        box = person.face.box
        if box.x2 <= 0 or box.y2 <= 0 or box.x1 >= target.width or box.y1 >= target.height:
            raise OptionError(
                f"The face {person.face.id} of the face map lies outside of {step.target}, which has "
                f"{target.width}×{target.height} pixels."
            )
        for source in person.sources:
            if sniff(source).kind != "image":
                raise UnsupportedMedia(f"The source {source} of the face {person.face.id} is no picture.")
    if all(processor.per_person for processor in chain.values() if processor.needs_source):
        for source in step.sources:
            notice(f"The source {source} is given to nobody: the face map says who gets which.")
