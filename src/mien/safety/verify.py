"""What a file says about how it was made: Content Credentials, plain marks, and the invisible watermark, together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from mien.errors import CorruptMedia, InputMissing
from mien.safety.keys import ROOT
from mien.safety.manifests import Manifest, read_manifest
from mien.safety.marking import GENERATED, Marks, read_marks
from mien.safety.watermark import Watermark

if TYPE_CHECKING:
    from mien.settings import Settings
    from mien.types import Frame, MediaInfo

Verdict = Literal["marked", "unmarked", "tampered", "untrusted"]

SAMPLES: Final = 8
"""Frames of a video in which the watermark is looked for together."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found in one file."""

    path: Path
    kind: str
    manifest: Manifest
    marks: Marks | None
    watermark: Watermark | None

    @property
    def is_marked(self) -> bool:
        """Whether anything at all says how the file was made."""
        return self.manifest.state != "none" or self.marks is not None or self.watermark is not None

    def verdict(self, *, must_be_trusted: bool = False) -> Verdict:
        """In one word. ``untrusted`` only where a trusted signature is asked for and there is none."""
        if self.manifest.state == "tampered":
            return "tampered"
        if not self.is_marked:
            return "unmarked"
        return "untrusted" if must_be_trusted and self.manifest.state != "trusted" else "marked"

    def sentences(self) -> tuple[str, ...]:
        """The findings in plain words, the verdict first."""
        lines = [_headline(self), *_about_manifest(self.manifest)]
        if self.marks is not None:
            done = f", operations: {', '.join(self.marks.operations)}" if self.marks.operations else ""
            lines.append(
                f"Plain marks (unsigned, so no proof by themselves): {_kind_of(self.marks.source_type)}, "
                f"software: {self.marks.software or 'not named'}{done}."
            )
        if self.watermark is not None:
            certainty = f"{self.watermark.certainty:.0%}"
            lines.append(f"Invisible watermark of mien: id {self.watermark.text}, certainty {certainty}.")
        return tuple(lines)


def verify(path: Path, anchors: tuple[str, ...] = (), *, max_pixels: int | None = None) -> Findings:
    """Look for everything that says how a picture or video was made. ``anchors``: PEM certificates that are trusted.

    Raises what ``mien.media`` raises for a file that is no media, or that is damaged and not signed.
    """
    from mien.media.probe import MAX_PIXELS
    from mien.media.sniff import sniff

    path = Path(path)
    found = sniff(path)
    manifest = read_manifest(path, found.format, anchors)
    marks, mark = None, None
    try:
        marks = read_marks(path)
        mark = _watermark(path, max_pixels or MAX_PIXELS)
    except CorruptMedia:
        # Tampering may damage a file; then the manifest has the word.
        if manifest.state != "tampered":
            raise
    return Findings(path, found.kind, manifest, marks, mark)


def anchors_of(settings: Settings) -> tuple[str, ...]:
    """The roots that are trusted by the settings: those named, and the one of the installation's own keys.

    Raises InputMissing for a file that is named and cannot be read.
    """
    found = []
    if settings.trust_anchors is not None:
        found.append(read_anchors(settings.trust_anchors))
    if settings.signing_key is not None and (settings.signing_key / ROOT).is_file():
        found.append(read_anchors(settings.signing_key / ROOT))
    return tuple(found)


def read_anchors(path: Path) -> str:
    """A PEM file of certificates. Raises InputMissing."""
    try:
        return path.read_text("ascii", "replace")
    except OSError as error:
        raise InputMissing(f"The certificates {path} cannot be read: {error.strerror}.") from None


def _watermark(path: Path, max_pixels: int) -> Watermark | None:
    from mien.media.probe import probe
    from mien.safety import watermark

    info = probe(path, max_pixels=max_pixels)
    return None if info.kind == "audio" else watermark.read(_frames(path, info, max_pixels))


def _frames(path: Path, info: MediaInfo, max_pixels: int) -> Iterator[Frame]:
    """The picture, or a few frames from all over the video."""
    if info.video is None:
        from mien.media.images import read_image

        yield read_image(path, max_pixels=max_pixels).pixels
        return
    from mien.media.index import read_index
    from mien.media.reader import VideoReader

    times = read_index(path).times
    chosen = {times[len(times) * number // SAMPLES] for number in range(SAMPLES)}
    for time in sorted(chosen):
        with VideoReader(path, start_pts=time, info=info, max_pixels=max_pixels) as reader:
            for frame in reader:
                yield frame.image
                break


def _headline(findings: Findings) -> str:
    name = findings.path.name
    if findings.manifest.state == "tampered":
        return (
            f"{name} was changed after it was signed, or its manifest is damaged: trust nothing that it says."
        )
    if not findings.is_marked:
        return f"{name} carries no marks that mien can read; that does not mean that it shows what happened."
    return f"{name} says how it was made."


def _about_manifest(manifest: Manifest) -> Iterator[str]:
    if manifest.state == "none":
        yield "Content Credentials: none."
        yield from (f"  {problem}" for problem in manifest.problems)
        return
    signer = manifest.signer or "an unnamed signer"
    words = {
        "tampered": f"Content Credentials by {signer}: TAMPERED.",
        "valid": f"Content Credentials: valid, the file is as {signer} signed it; who that is cannot be told, "
        "since the signer is not among those that are trusted here.",
        "trusted": f"Content Credentials: valid, the file is as {signer} signed it; the signer is trusted.",
    }
    yield words[manifest.state]
    yield from (f"  {problem}" for problem in manifest.problems)
    if manifest.software:
        yield f"  Made by: {manifest.software}" + (f", {manifest.signed_at}" if manifest.signed_at else "")
    if manifest.operations:
        yield f"  Actions: {', '.join(manifest.operations)}"
    if manifest.models:
        yield f"  Models: {', '.join(manifest.models)}"
    for source_type in manifest.source_types:
        yield f"  Result: {_kind_of(source_type)}"
    for parent in manifest.parents:
        yield f"  Made from: {parent.format or 'a file'}, {_origin(parent.state, parent.signer, parent.software)}"


def _origin(state: str, signer: str, software: str) -> str:
    if state == "none":
        return "without Content Credentials of its own"
    words = {"valid": "valid", "trusted": "trusted", "tampered": "already changed when this file was made"}
    by = ", ".join(part for part in (signer, software) if part)
    return f"with Content Credentials of its own ({by}): {words[state]}"


def _kind_of(source_type: str) -> str:
    """An address of the IPTC vocabulary in words."""
    word = source_type.rstrip("/").rsplit("/", 1)[-1]
    meaning = _MEANINGS.get(word)
    if meaning is None:
        meaning = "made or changed by an algorithm" if source_type in GENERATED else "not known to mien"
    return f"{meaning} ({word})"


_MEANINGS: Final = {
    "compositeWithTrainedAlgorithmicMedia": "partly made by a trained algorithm",
    "trainedAlgorithmicMedia": "made by a trained algorithm",
    "algorithmicallyEnhanced": "improved by an algorithm",
    "digitalCapture": "taken by a digital camera",
    "humanEdits": "edited by a person",
}
