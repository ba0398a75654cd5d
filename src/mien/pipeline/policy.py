"""The content policy at work: pictures are looked at before, videos while they are worked on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mien.errors import UnsafeInput
from mien.pipeline.plan import Plan
from mien.safety.content import VOTERS, ContentAnalyser, ContentOptions, make_vote, too_many
from mien.types import Frame

if TYPE_CHECKING:
    from mien.inference.runtime import Runtime
    from mien.models.store import ModelStore
    from mien.pipeline.job import Job

Verdict = Literal["passed", "flagged", "unchecked"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a step does about content; ``analyser`` is None where nothing looks."""

    analyser: ContentAnalyser | None
    refuses: bool

    @property
    def looks(self) -> bool:
        """Whether anything is looked at."""
        return self.analyser is not None

    def flags(self, image: Frame) -> bool:
        """Whether a picture is sexual content; False where nothing looks."""
        return self.analyser is not None and self.analyser.flags(image)

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
    vote = make_vote(store.catalogue, lambda id: runtime.load(store.path(id)))
    return Policy(vote, refuses=options.policy == "refuse")
