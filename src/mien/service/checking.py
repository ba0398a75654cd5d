"""Decides whether a request can be done here, and writes it down as the steps of a job.

Everything that is wrong with a request is told at once, by field; what an operator forbids is told with the setting
that forbids it. References to files become ``asset:ID``, ``https://…`` or ``step:N``, outputs ``result:NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mien.errors import ConsentMissing, Forbidden, InputError, OptionError, UnsafeInput
from mien.fetch.settings import FetchSettings, Scheme
from mien.fetch.urls import read_url, refuse_private
from mien.jobs.job import JobStep
from mien.models.store import ModelStore
from mien.options import Declared, Options, build, declared
from mien.pipeline.choice import with_models
from mien.pipeline.output_options import GROUPS
from mien.pipeline.people import people_of
from mien.pipeline.registry import AnyProcessor, named, option_groups
from mien.service.calls import Calls, renumbered
from mien.service.outputs import Known, named_output
from mien.service.problems import Problems
from mien.service.requests import (
    FaceAssignment,
    JobRequest,
    StepFields,
    StepResult,
    is_asset_id,
)
from mien.service.settings import ServiceSettings
from mien.service.words import checked
from mien.settings import Settings

Look = Callable[[str], Known]
"""What is known of an asset by its id; raises AssetMissing."""

Place = Callable[[str], str]
"""The path in the request of a field of a step."""


DEFAULT_PROCESSORS: Final = ("face_swapper",)
FILE_OPTIONS: Final = frozenset({"background_remover_picture"})
"""Options whose value is a file: here a reference to an asset, never a path."""
_STRICTNESS: Final = ("off", "flag", "refuse")


@dataclass(frozen=True)
class Checker:
    """Checks requests against what is installed and what the operator allows."""

    settings: ServiceSettings
    engine: Settings
    processors: Mapping[str, AnyProcessor]
    models: ModelStore
    fetching: FetchSettings = field(default_factory=FetchSettings)
    workflows: Callable[[], Calls] | None = None
    """What knows workflows; without it a step cannot name one."""

    @cached_property
    def groups(self) -> tuple[type[Options], ...]:
        """All groups of options that a step may have."""
        return (*GROUPS, *option_groups(self.processors))

    @cached_property
    def items(self) -> dict[str, Declared]:
        """All options by key."""
        return {item.key: item for group in self.groups for item in declared(group)}

    def job(self, request: JobRequest, look: Look) -> tuple[JobStep, ...]:
        """The steps of a job. Raises what is wrong with them, with the fields."""
        problems = Problems()
        count, most = len(request.steps), self.settings.max_steps
        if count == 0 and not request.draft:
            problems.add("steps", InputError("A job needs at least one step, with a target and processors."))
        if count > most:
            problems.add("steps", InputError(f"The job has {count} steps; the service takes at most {most}."))
        problems.refuse()
        steps: list[JobStep] = []
        last: list[int] = []
        for index, wish in enumerate(request.steps):
            place = _below(f"steps.{index}.")
            renamed = renumbered(wish, last)
            made = self._steps(renamed, place, steps, request.consent_ref, look, problems)
            if not made:  # what follows may be about its result
                break
            steps += made
            last.append(len(steps) - 1)
        if not request.draft:
            self._check_consent(steps, problems)
        problems.refuse()
        return tuple(steps)

    def step(self, wish: StepFields, before: Sequence[JobStep], consent: str | None, look: Look) -> JobStep:
        """One step behind those ``before``. Raises what is wrong with it, with the fields."""
        problems = Problems()
        steps = self._steps(wish, _below(""), before, consent, look, problems)
        if len(steps) > 1:
            text = "The workflow has several stages; give each as a step of its own."
            problems.add("workflow.name", InputError(text))
        problems.refuse()
        return steps[0]

    def _steps(
        self,
        wish: StepFields,
        at: Place,
        before: Sequence[JobStep],
        consent: str | None,
        look: Look,
        problems: Problems,
    ) -> tuple[JobStep, ...]:
        if wish.workflow is not None and self.workflows is not None:
            return self.workflows().called(wish, wish.workflow, at, before, consent, look, problems)
        return (self.checked_step(wish, at, before, consent, look, problems),)

    def check_consent(self, steps: Sequence[JobStep]) -> None:
        """Raises ConsentMissing where the operator asks for a reference to a consent and a step has none."""
        problems = Problems()
        self._check_consent(steps, problems)
        problems.refuse()

    def check_rules(self, steps: Sequence[JobStep]) -> None:
        """Check steps that were stored before against the operator's rules of today.

        Raises ConsentMissing, Forbidden.
        """
        problems = Problems()
        self._check_consent(steps, problems)
        for number, step in enumerate(steps):
            self._with_policy(dict(step.args), problems, f"steps.{number}.options")
        problems.refuse()

    def options(self, values: Mapping[str, Any], problems: Problems, name: str = "options") -> dict[str, Any]:
        """Checked options, with those of the operator; what is wrong is noted."""
        found = checked(values, self.groups, problems, name)
        for key in FILE_OPTIONS & found.keys():
            with problems.at(f"{name}.{key}"):
                if not is_asset_id(found[key]):
                    raise OptionError(
                        f"{key} is the id of an asset here (64 hexadecimal digits), never a path."
                    )
                found[key] = f"asset:{found[key]}"
        return self._with_policy(found, problems, name)

    def chain(self, names: Sequence[str] | None, problems: Problems, name: str) -> tuple[str, ...]:
        """The processors of a step; unknown ones are noted."""
        chosen = DEFAULT_PROCESSORS if names is None else tuple(names)
        if not chosen:
            problems.add(name, OptionError("A step needs at least one processor, such as face_swapper."))
        for number, word in enumerate(chosen):
            with problems.at(f"{name}.{number}"):
                named(self.processors, word)
                if word in chosen[:number]:
                    raise OptionError(f"The processor {word} stands in the step twice.")
        return chosen

    def reference(self, text: str) -> str:
        """A reference as steps keep it. Raises InputError for one that is neither an asset nor a URL."""
        if is_asset_id(text):
            return f"asset:{text}"
        if "://" not in text:
            raise InputError(
                f"{text[:80]!r} is neither the id of an asset (64 hexadecimal digits) nor an https address."
            )
        try:
            target = read_url(text, self._fetching)
            refuse_private(target, self._fetching)
            return target.url
        except UnsafeInput:
            raise
        except ValueError:
            raise InputError(f"{text[:80]!r} is not an address that can be read.") from None

    @cached_property
    def _fetching(self) -> FetchSettings:
        return self.fetching.model_copy(update={"schemes": _schemes(self.settings.fetch_http)})

    def checked_step(
        self,
        wish: StepFields,
        at: Place,
        before: Sequence[JobStep],
        consent: str | None,
        look: Look,
        problems: Problems,
    ) -> JobStep:
        """One step behind those ``before``; what is wrong is noted, with fields that ``at`` names."""
        if wish.workflow is not None:
            problems.add(at("workflow"), InputError("A workflow cannot be named here."))
        processors = self.chain(wish.processors, problems, at("processors"))
        options = self.options(wish.options, problems, at("options"))
        if consent is not None:
            options["consent_ref"] = consent
        sources = self.sources(wish.sources, at("sources"), look, problems)
        people = self._people(wish.face_map, at("face_map"), look, problems)
        self._check_needs(processors, sources or people, at("sources"), problems)
        self._check_models(processors, options, at("options"), problems)
        target, known = self._target(wish, at("target"), before, look, problems)
        output = ""
        with problems.at(at("output")):
            output = named_output(wish.output, known, len(before), marked=self.settings.marking_required)
        args = {
            "source_paths": sources,
            "target_path": target,
            "output_path": f"result:{output}",
            "processors": list(processors),
            **options,
        }
        if people:
            args["face_map"] = people
        if wish.resolution:
            args["resolution"] = wish.resolution
        return JobStep(args)

    def sources(self, wanted: Sequence[str], place: str, look: Look, problems: Problems) -> list[str]:
        """References to sources as steps keep them; what is wrong is noted."""
        most = self.settings.max_sources
        if len(wanted) > most:
            problems.add(
                place, InputError(f"The step has {len(wanted)} sources; the service takes at most {most}.")
            )
            return []
        return [
            self._file(text, f"{place}.{number}", look, problems)[0] for number, text in enumerate(wanted)
        ]

    def _file(self, text: str, place: str, look: Look, problems: Problems) -> tuple[str, Known | None]:
        reference, known = "", None
        with problems.at(place):
            reference = self.reference(text)
            known = look(text) if reference.startswith("asset:") else Known.of_url(reference)
        return reference, known

    def _target(
        self,
        wish: StepFields,
        place: str,
        before: Sequence[JobStep],
        look: Look,
        problems: Problems,
    ) -> tuple[str, Known | None]:
        if wish.target is None:
            problems.add(place, InputError("A step needs a target: the picture or video that is worked on."))
            return "", None
        if isinstance(wish.target, StepResult):
            number = wish.target.step
            if number >= len(before):
                text = f"The target is the result of step {number}, which does not come before this step."
                problems.add(place, InputError(text))
                return "", None
            return f"step:{number}", Known.of_result(before[number].output_path or "")
        reference, known = self._file(wish.target, place, look, problems)
        if known is not None and known.kind == "audio":
            problems.add(
                place, InputError(f"The target {known.name} holds sound only; give a picture or a video.")
            )
        return reference, known

    def _people(
        self, wanted: Sequence[FaceAssignment], place: str, look: Look, problems: Problems
    ) -> list[dict[str, Any]]:
        found = []
        for number, item in enumerate(wanted):
            sources = self.sources(item.sources, f"{place}.{number}.sources", look, problems)
            face = item.face if isinstance(item.face, str) else item.face.model_dump()
            with problems.at(f"{place}.{number}.face"):
                reference = people_of([{"face": face, "sources": ["-"]}])[0].face
                box = list(reference.box.as_tuple())
                found.append({"face": {"frame": reference.frame, "box": box}, "sources": sources})
        with problems.at(place):
            people_of([{**item, "sources": ["-"]} for item in found])
        return found

    def _check_needs(
        self, processors: Sequence[str], has_sources: object, place: str, problems: Problems
    ) -> None:
        for name in processors:
            if not has_sources and name in self.processors and self.processors[name].needs_source:
                problems.add(place, InputError(f"The processor {name} needs at least one source."))

    def _check_models(
        self, processors: Sequence[str], options: Mapping[str, Any], place: str, problems: Problems
    ) -> None:
        """Note models that the operator's rules about licences forbid."""
        chain = {name: self.processors[name] for name in processors if name in self.processors}
        if self.engine.allow_noncommercial or not chain:
            return
        with problems.at(place):
            values = with_models(options, chain, self.models, lambda line: None)
            for processor in chain.values():
                self.models.missing(processor.models(build(processor.Options, values)))

    def _with_policy(self, options: dict[str, Any], problems: Problems, place: str) -> dict[str, Any]:
        settings = self.settings
        if settings.marking_required and options.get("output_marking") is False:
            problems.add(
                f"{place}.output_marking",
                Forbidden(
                    "The marks of results cannot be switched off: the operator set MIEN_MARKING_REQUIRED."
                ),
            )
        if settings.content_policy != "off" and options.get("compat") == "facefusion":
            text = (
                "FaceFusion's ways leave sources and results unjudged, so compat cannot be facefusion while"
            )
            problems.add(
                f"{place}.compat", Forbidden(f"{text} MIEN_CONTENT_POLICY is {settings.content_policy}.")
            )
        policy = options.setdefault("content_policy", settings.content_policy)
        if _STRICTNESS.index(policy) < _STRICTNESS.index(settings.content_policy):
            text = f"The content policy cannot be {policy}: the operator set MIEN_CONTENT_POLICY to "
            problems.add(f"{place}.content_policy", Forbidden(f"{text}{settings.content_policy}."))
        return options

    def _check_consent(self, steps: Sequence[JobStep], problems: Problems) -> None:
        if not (self.settings.require_consent or self.engine.require_consent):
            return
        if any(not str(step.args.get("consent_ref") or "").strip() for step in steps):
            text = "This service asks for consent_ref, a reference to the consent of the people shown."
            problems.add("consent_ref", ConsentMissing(text))


def _below(prefix: str) -> Place:
    return lambda name: f"{prefix}{name}"


def _schemes(with_http: bool) -> tuple[Scheme, ...]:
    return ("https", "http") if with_http else ("https",)
