from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.errors import InputError, JobBusy, JobError, JobMissing, NotFound
from mien.jobs.rows import JobRow
from mien.service.callers import Caller
from mien.service.checking import Checker
from mien.service.drafts import Drafts
from mien.service.idempotency import new_seed
from mien.service.requests import JobRequest, StepFields, StepResult
from mien.service.service import Service
from tests.server.served import face_png

ANN = Caller("ann")


def wish(target: str | int, label: str = "inverter") -> StepFields:
    """A step on an asset, or on the result of a step."""
    reference = StepResult(step=target) if isinstance(target, int) else target
    return StepFields(processors=[label], target=reference)


def targets(row: JobRow) -> list[str | None]:
    return [step.target_path for step in row.job.steps]


@pytest.fixture
def drafts(idle: Service) -> Drafts:
    return idle.desk.drafts


@pytest.fixture
def asset(idle: Service) -> str:
    return str(idle.assets.add_stream([face_png()], "ann", "face.png").id)


def drafted(idle: Service, *steps: dict[str, Any], **more: Any) -> str:
    request = JobRequest.model_validate({"draft": True, "steps": list(steps), **more})
    return idle.desk.submissions.submit(request, ANN, new_seed()).id


class Model:
    """A draft as a list of steps, each of which knows on which other one it works; ids say which one is meant."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int | None]] = []
        self.made = 0

    def new(self, target: int | None) -> tuple[int, int | None]:
        """A step on the result of the one at a place, or on the asset."""
        self.made += 1
        return self.made, None if target is None else self.steps[target][0]

    def is_needed(self, place: int) -> bool:
        return any(target == self.steps[place][0] for _, target in self.steps)

    def replace(self, place: int, target: int | None) -> None:
        """Another step takes the place; whoever worked on the old one's result works on the new one's."""
        _, wanted = self.new(target)
        self.steps[place] = (self.steps[place][0], wanted)

    def targets(self, asset: str) -> list[str]:
        places = {id: place for place, (id, _) in enumerate(self.steps)}
        return [f"asset:{asset}" if on is None else f"step:{places[on]}" for _, on in self.steps]


OPERATION = st.tuples(
    st.sampled_from(("add", "add", "remix", "remix", "replace", "remove")),
    st.integers(0, 5),
    st.one_of(st.none(), st.integers(0, 5)),
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(operations=st.lists(OPERATION, max_size=8))
def test_targets_follow_their_steps_wherever_these_go(
    idle: Service, drafts: Drafts, asset: str, operations: Sequence[tuple[str, int, int | None]]
) -> None:
    id, model = drafted(idle), Model()
    for what, at, on in operations:
        place = at % (len(model.steps) + (what == "add")) if model.steps or what == "add" else 0
        target = on % place if on is not None and place else None
        reference = asset if target is None else target
        if what == "add":
            model.steps.insert(place, model.new(target))
            row = drafts.add(id, ANN, wish(reference), place)
        elif not model.steps:
            with pytest.raises(NotFound, match="The job has no step, so there is no step 0"):
                drafts.remove(id, ANN, 0)
            continue
        elif what == "remix":
            model.steps.append(model.new(place))
            row = drafts.remix(id, ANN, place, StepFields(processors=["inverter"]))
        elif what == "replace":
            model.replace(place, target)
            row = drafts.replace(id, ANN, place, wish(reference))
        elif model.is_needed(place):
            with pytest.raises(JobError, match=f"works on the result of step {place}; remove step"):
                drafts.remove(id, ANN, place)
            continue
        else:
            del model.steps[place]
            row = drafts.remove(id, ANN, place)
        assert targets(row) == model.targets(asset)
    assert targets(idle.store.row(id)) == model.targets(asset)


def test_a_step_is_added_at_the_end_unless_a_place_is_named(
    idle: Service, drafts: Drafts, asset: str
) -> None:
    id = drafted(idle, {"processors": ["inverter"], "target": asset})
    row = drafts.add(id, ANN, wish(asset, "doubler"))
    assert [step.processors for step in row.job.steps] == [("inverter",), ("doubler",)]
    row = drafts.add(id, ANN, wish(asset, "marker"), 0)
    assert [step.processors for step in row.job.steps] == [("marker",), ("inverter",), ("doubler",)]


@pytest.mark.parametrize("place", [-1, 2, 100])
def test_places_that_there_are_not_are_refused(idle: Service, drafts: Drafts, asset: str, place: int) -> None:
    id = drafted(idle, *[{"processors": ["inverter"], "target": asset}] * 2)
    said = f"The job has steps 0 to 1, so there is no step {place}."
    for act in (
        lambda: drafts.replace(id, ANN, place, wish(asset)),
        lambda: drafts.remove(id, ANN, place),
        lambda: drafts.remix(id, ANN, place, wish(asset)),
    ):
        with pytest.raises(NotFound) as caught:
            act()
        assert str(caught.value) == said
    if place != 2:
        with pytest.raises(NotFound):
            drafts.add(id, ANN, wish(asset), place)
    assert len(idle.store.row(id).job.steps) == 2


def test_what_is_wrong_with_a_step_names_its_fields_and_changes_nothing(
    idle: Service, drafts: Drafts, asset: str
) -> None:
    id = drafted(idle, {"processors": ["inverter"], "target": asset})
    for wrong, field in (
        (wish(1), "target"),
        (wish("0" * 64), "target"),
        (wish(asset, "sculptor"), "processors.0"),
    ):
        with pytest.raises(InputError) as caught:
            drafts.add(id, ANN, wrong)
        assert [name for name, _ in caught.value.details] == [field]
    with pytest.raises(InputError, match="does not come before"):
        drafts.replace(id, ANN, 0, wish(0))
    assert targets(idle.store.row(id)) == [f"asset:{asset}"]


def test_a_draft_has_no_more_steps_than_a_job_may_have(idle: Service, drafts: Drafts, asset: str) -> None:
    most = idle.settings.max_steps
    id = drafted(idle, *[{"processors": ["inverter"], "target": asset}] * most)
    said = f"The job has {most} steps, and a job may have {most} at most."
    for act in (
        lambda: drafts.add(id, ANN, wish(asset)),
        lambda: drafts.remix(id, ANN, 0, StepFields(processors=["inverter"])),
    ):
        with pytest.raises(JobError, match=said):
            act()
    assert len(drafts.replace(id, ANN, most - 1, wish(0)).job.steps) == most


def test_only_drafts_of_ones_own_can_be_changed(idle: Service, drafts: Drafts, asset: str) -> None:
    id = drafted(idle, {"processors": ["inverter"], "target": asset})
    with pytest.raises(JobMissing):
        drafts.remove(id, Caller("bob"), 0)
    idle.desk.submissions.submit_draft(id, ANN)
    with pytest.raises(JobError, match="is queued; only the steps of a draft can be changed"):
        drafts.remove(id, ANN, 0)


def test_two_that_change_a_draft_at_once_do_not_overwrite_each_other(
    idle: Service, drafts: Drafts, asset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = drafted(idle)
    check, between = Checker.step, [lambda: drafts.add(id, ANN, wish(asset, "doubler"))]

    def checked(*words: Any) -> Any:
        if between:
            between.pop()()
        return check(*words)

    monkeypatch.setattr(Checker, "step", checked)
    with pytest.raises(JobBusy, match="Somebody else changed the job"):
        drafts.add(id, ANN, wish(asset))
    assert [step.processors for step in idle.store.row(id).job.steps] == [("doubler",)]


def test_one_that_is_submitted_meanwhile_is_changed_no_more(
    idle: Service, drafts: Drafts, asset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = drafted(idle, {"processors": ["inverter"], "target": asset})
    check = Checker.step

    def checked(*words: Any) -> Any:
        idle.desk.submissions.submit_draft(id, ANN)
        return check(*words)

    monkeypatch.setattr(Checker, "step", checked)
    with pytest.raises(JobError, match="is queued"):
        drafts.add(id, ANN, wish(asset))
    assert len(idle.store.row(id).job.steps) == 1


def test_every_step_has_the_consent_of_the_job(idle: Service, drafts: Drafts, asset: str) -> None:
    id = drafted(idle, consent_ref="form 12")
    row = drafts.add(id, ANN, wish(asset))
    assert [step.args.get("consent_ref") for step in row.job.steps] == ["form 12"]
    assert "consent_ref" not in drafts.add(drafted(idle), ANN, wish(asset)).job.steps[0].args


def test_a_change_is_told_to_who_watches(idle: Service, drafts: Drafts, asset: str) -> None:
    id = drafted(idle)
    drafts.add(id, ANN, wish(asset))
    assert [event.data["status"] for event in idle.events.since(id)] == ["drafted", "drafted"]
