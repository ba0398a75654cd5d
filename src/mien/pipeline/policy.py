"""The content policy at work: sources and targets are judged, and what was made of them.

Pictures are looked at before and after the work, samples of videos while they are worked on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from mien.errors import UnsafeInput
from mien.pipeline.plan import Plan
from mien.safety.content import VOTERS, ContentAnalyser, ContentOptions, make_vote, too_many
from mien.types import Frame

if TYPE_CHECKING:
    from mien.inference.runtime import Runtime
    from mien.models.store import ModelStore
    from mien.pipeline.job import Job
    from mien.processors.base import FrameContext

Verdict = Literal["passed", "flagged", "unchecked"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a step does about content; ``analyser`` is None where nothing looks."""

    analyser: ContentAnalyser | None
    refuses: bool
    looks_after: bool = True
    """Whether results are looked at too; FaceFusion does not."""

    @property
    def looks(self) -> bool:
        """Whether anything is looked at."""
        return self.analyser is not None

    def flags(self, image: Frame) -> bool:
        """Whether a picture is sexual content; False where nothing looks."""
        return self.analyser is not None and self.analyser.flags(image)

    def look(self, frame: FrameContext) -> Looked:
        """Look at a frame that was worked on, as it was and as it is; one that did not change is looked at once."""
        before = self.flags(frame.target)
        return Looked(before, self.flags_result(frame, before))

    def flags_result(self, frame: FrameContext, before: bool) -> bool:
        """Whether what was made of a frame is sexual content; ``before``: whether the frame itself is."""
        if not self.looks or not self.looks_after or not _is_changed(frame):
            return before
        return self.flags(frame.image)

    def check(self, image: Frame, name: object) -> Verdict:
        """Judge one picture. Raises UnsafeInput, which names it, if the policy refuses."""
        return self.verdict(int(self.flags(image)), 1, name)

    def verdict(self, flagged: int, sampled: int, name: object) -> Verdict:
        """Judge by so many flagged pictures of those looked at. Raises UnsafeInput if the policy refuses."""
        if not self.looks:
            return "unchecked"
        if not too_many(flagged, sampled):
            return "passed"
        if self.refuses:
            raise UnsafeInput(f"{name} shows sexual content, which the content policy refuses.")
        return "flagged"


class Looked(NamedTuple):
    """Whether one frame is sexual content."""

    before: bool
    after: bool
    """Once it was worked on."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a whole, of those on its parts: flagged if any is, unchecked if none was looked at."""
    found = set(verdicts)
    return next((word for word in ("flagged", "passed") if word in found), "unchecked")


def result_of(target: Path) -> str:
    """How a refusal names what was made of a target."""
    return f"The result of {target}"


def _is_changed(frame: FrameContext) -> bool:
    import numpy as np

    same_size = frame.image.shape == frame.target.shape
    return frame.image is not frame.target and not (same_size and np.array_equal(frame.image, frame.target))


def check_sources(job: Job) -> set[Verdict]:
    """Judge the source pictures of a step; FaceFusion does not. Raises UnsafeInput, which names the picture."""
    if not job.policy.looks or job.plan.compat:
        return set()
    from mien.media.images import read_image
    from mien.media.sniff import sniff

    pictures = [path for path in job.plan.step.all_sources if sniff(path).kind == "image"]
    return {job.policy.check(read_image(path).pixels, path) for path in pictures}


def policy_models(plan: Plan, store: ModelStore) -> tuple[str, ...]:
    """The networks that look at the content: where they are here, or where FaceFusion's ways are repeated."""
    if plan.settings_of(ContentOptions).policy == "off":
        return ()
    here = all(store.find(id) is not None for id in VOTERS)
    return VOTERS if plan.compat or here else ()


def make_policy(plan: Plan, store: ModelStore, runtime: Runtime) -> Policy:
    """The policy of a step; without the networks nothing is looked at, and the result says so."""
    options = plan.settings_of(ContentOptions)
    if not policy_models(plan, store):
        return Policy(None, refuses=False)
    vote = _vote(store, runtime)
    return Policy(vote, refuses=options.policy == "refuse", looks_after=not plan.compat)


def judge(
    files: Iterable[Path], options: ContentOptions, store: ModelStore, runtime: Runtime, max_pixels: int
) -> Verdict:
    """The verdict on pictures, and on samples of videos, that no step works on; sounds are passed over.

    Raises UnsafeInput, which names the file, if the policy refuses, and what reading them raises.
    """
    if options.policy == "off" or any(store.find(id) is None for id in VOTERS):
        return "unchecked"
    policy = Policy(_vote(store, runtime), refuses=options.policy == "refuse")
    found = []
    for path in files:
        images = list(_samples(path, max_pixels))
        if images:
            found.append(policy.verdict(sum(map(policy.flags, images)), len(images), path))
    return worst(found)


def _samples(path: Path, max_pixels: int) -> Iterator[Frame]:
    from mien.media.sniff import sniff
    from mien.pipeline.frames import Frames
    from mien.safety.content import sample_numbers

    if sniff(path).kind == "audio":
        return
    frames = Frames(path, max_pixels)
    if frames.info.kind == "image":
        yield frames.read(0).image
        return
    video = frames.info.video
    rate = float(video.rate) if video is not None else 1.0
    for number in sample_numbers(0, len(frames.index.times), rate):
        yield frames.read(number).image


def _vote(store: ModelStore, runtime: Runtime) -> ContentAnalyser:
    return make_vote(store.catalogue, lambda id: runtime.load(store.path(id)))
