"""What the result of a step is called: after its target, with an ending that can be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from mien.errors import Forbidden, UnsupportedMedia
from mien.media.writable import CONTAINERS, OUTPUT_FORMATS
from mien.safety.marking import UNMARKED_FORMATS
from mien.service.names import safe_name
from mien.service.requests import OutputRequest

Kind = Literal["image", "video", "audio", "file", "unknown"]

DEFAULTS: Final = {"image": "png", "video": "mp4"}
"""Endings of results whose target has one that cannot be written."""


def formats(*, marked: bool) -> dict[str, list[str]]:
    """The endings that can be written, by kind of target; with ``marked`` those that have a place for marks."""
    images = [
        ending for ending, format in OUTPUT_FORMATS.items() if not (marked and format in UNMARKED_FORMATS)
    ]
    return {"image": images, "video": list(CONTAINERS)}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file before it is opened."""

    name: str
    kind: Kind = "unknown"
    ending: str = ""
    """Without the dot; empty when it is not known."""

    @classmethod
    def of_url(cls, url: str) -> Known:
        """What an address says of the file behind it, which is not much."""
        name = PurePosixPath(unquote(urlsplit(url).path)).name
        return cls.of_name(name or "file")

    @classmethod
    def of_name(cls, name: str) -> Known:
        """What a name says; nothing about the kind where its ending says nothing."""
        ending = PurePosixPath(name).suffix.lower().removeprefix(".")
        kind: Kind = "image" if ending in OUTPUT_FORMATS else "video" if ending in CONTAINERS else "unknown"
        return cls(name, kind, ending)

    @classmethod
    def of_result(cls, output: str) -> Known:
        """The result of an earlier step."""
        return cls.of_name(output.removeprefix("result:"))


def named_output(wish: OutputRequest, target: Known | None, index: int, *, marked: bool) -> str:
    """The name of the result of step ``index``, made of the wish and of what is known of the target.

    Without ending where nobody knows the kind of the target yet. Raises UnsupportedMedia for a format that cannot be
    written, or that is not of the target's kind; Forbidden where results have to be ``marked`` and it has no place
    for that.
    """
    target = target or Known("result")
    ending = _ending(wish, target, formats(marked=marked))
    stem = PurePosixPath(target.name).stem or "result"
    name = wish.name or (stem if index == 0 else f"{stem}-{index + 1}")
    if wish.name and ending and Known.of_name(wish.name).kind != "unknown":
        name = PurePosixPath(wish.name).stem
    return safe_name(name, ending)


def _ending(wish: OutputRequest, target: Known, kinds: dict[str, list[str]]) -> str:
    said = (wish.format or "").lower().removeprefix(".")
    if not said and wish.name:
        named = Known.of_name(wish.name)
        said = named.ending if named.kind != "unknown" else ""
    if not said:
        if target.kind not in kinds:
            return ""
        return target.ending if target.ending in kinds[target.kind] else DEFAULTS[target.kind]
    allowed = kinds.get(target.kind, [*kinds["image"], *kinds["video"]])
    if said not in allowed and OUTPUT_FORMATS.get(said) in UNMARKED_FORMATS and target.kind != "video":
        raise Forbidden(
            f"A {said.upper()} picture has no place for the marks of results, which the operator asks for by "
            f"MIEN_MARKING_REQUIRED; use one of {', '.join(allowed)}."
        )
    if said not in allowed:
        what = {"image": "a picture", "video": "a video"}.get(target.kind, "that target")
        raise UnsupportedMedia(
            f"The result of {what} cannot be written as {said}; use one of {', '.join(allowed)}."
        )
    return said
