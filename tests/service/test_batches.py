from __future__ import annotations

from contextlib import suppress
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mien.db import Database
from mien.db.tables import batches as table
from mien.db.tables import jobs
from mien.errors import InputError, NotFound, OptionError, QueueFull
from mien.jobs import states
from mien.jobs.job import STATUSES
from mien.service import batches as module
from mien.service.batches import Batches, BatchRow, has_ended
from mien.service.callers import Caller
from mien.service.idempotency import new_seed
from mien.service.requests import BatchRequest
from mien.service.service import Service
from tests.server.served import face_png

ANN = Caller("ann")
INVERT = {"settings": [{"processors": ["inverter"]}]}


@pytest.fixture
def batches(idle: Service) -> Batches:
    return idle.desk.batches


def picture(idle: Service, shade: int = 0) -> str:
    return str(idle.assets.add_stream([face_png(shade)], "ann", f"{shade}.png").id)


def request(targets: list[str], *processors: str, **more: Any) -> BatchRequest:
    names = processors or ("inverter",)
    wanted = [{"processors": [name]} for name in names]
    return BatchRequest.model_validate({"targets": targets, "settings": wanted, **more})


def counted(idle: Service) -> tuple[int, int]:
    """How many batches and jobs are stored."""
    with idle.database.read() as connection:
        both = [
            connection.execute(sa.select(sa.func.count()).select_from(what)).scalar_one()
            for what in (table, jobs)
        ]
    return both[0], both[1]


def test_every_combination_is_a_job_in_the_order_of_the_request(idle: Service, batches: Batches) -> None:
    a, b, c = (picture(idle, shade) for shade in range(3))
    wanted = request([a, b], "inverter", "doubler", sources=[c, [a, c]], priority=2)
    batch, ids = batches.create(wanted, ANN, "seed")
    assert (batch.id, batch.owner, batch.total) == ("batch_seed", "ann", 8)
    assert ids == [f"job_seed{number:04d}" for number in range(8)]
    found = [idle.store.row(id, "ann") for id in ids]
    steps = [row.job.steps[0] for row in found]
    assert [(step.source_paths, step.target_path, step.processors) for step in steps] == [
        (tuple(f"asset:{id}" for id in sources), f"asset:{target}", (name,))
        for sources, target, name in product(([c], [a, c]), (a, b), ("inverter", "doubler"))
    ]
    assert {(row.batch, row.status, row.priority) for row in found} == {("batch_seed", "queued", 2)}
    assert batches.get(batch.id, "ann") == batch
    assert batches.counts(batch.id) == {"queued": 8}


def test_without_sources_there_is_one_job_for_each_target(idle: Service, batches: Batches) -> None:
    batch, ids = batches.create(request([picture(idle)] * 3), ANN, "seed")
    assert (batch.total, len(ids)) == (3, 3)


def test_given_twice_with_one_seed_it_is_one_batch(idle: Service, batches: Batches) -> None:
    wanted = request([picture(idle)] * 2)
    first, second = (batches.create(wanted, ANN, "seed") for _ in range(2))
    assert first == second
    assert counted(idle) == (1, 2)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"targets": ["G", "0" * 64], **INVERT}, "targets.1"),
        ({"targets": ["G"], "sources": ["G", ["G", "0" * 64]], **INVERT}, "sources.1.1"),
        ({"targets": ["G"], "sources": ["G", "0" * 64], **INVERT}, "sources.1"),
        ({"targets": ["G"], "sources": [["0" * 64]], **INVERT}, "sources.0.0"),
        ({"targets": ["G"], "settings": [{"processors": ["inverter"]}, {"processors": ["sculptor"]}]},
         "settings.1.processors.0"),
        ({"targets": ["G"], "settings": [{"processors": ["inverter"], "options": {"x": 1}}]}, "settings.0.options.x"),
        ({"targets": ["G"], "settings": [{"processors": ["inverter"], "output": {"format": "mp4"}}]},
         "settings.0.output"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_job_is_named_and_nothing_is_stored(
    idle: Service, batches: Batches, more: dict[str, Any], field: str
) -> None:
    good = picture(idle)
    text = BatchRequest.model_validate(more).model_dump_json().replace('"G"', f'"{good}"')
    with pytest.raises(InputError) as caught:
        batches.create(BatchRequest.model_validate_json(text), ANN, "seed")
    assert {name for name, _ in caught.value.details} == {field}
    assert counted(idle) == (0, 0)


def test_a_batch_that_does_not_fit_into_the_queue_is_not_taken_in_part(
    idle: Service, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = idle.settings.model_copy(update={"max_queue": 3})
    monkeypatch.setattr(idle.limits, "_settings", small)
    with pytest.raises(QueueFull, match="3 jobs may wait"):
        batches.create(request([picture(idle)] * 4), ANN, "seed")
    assert counted(idle) == (0, 0)


def test_more_jobs_than_the_service_takes_are_refused_before_they_are_looked_at(
    idle: Service, batches: Batches
) -> None:
    most = idle.settings.max_batch
    with pytest.raises(InputError) as caught:
        batches.create(request(["0" * 64] * (most + 1)), ANN, "seed")
    assert str(caught.value) == f"The batch has {most + 1} jobs; the service takes at most {most} in one."


def test_somebody_elses_batch_is_not_there(idle: Service, batches: Batches) -> None:
    batch, _ = batches.create(request([picture(idle)]), ANN, "seed")
    bob = Caller("bob")
    for act in (lambda: batches.get(batch.id, "bob"), lambda: batches.cancel(batch.id, bob)):
        with pytest.raises(NotFound, match="There is no batch batch_seed"):
            act()
    assert batches.page("bob") == ([], None)
    assert batches.counts(batch.id) == {"queued": 1}
    with pytest.raises(NotFound) as caught:
        batches.get("x" * 500, "ann")
    assert len(str(caught.value)) < 120


def test_all_jobs_that_have_not_ended_are_canceled(
    idle: Service, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    batch, ids = batches.create(request([picture(idle)] * 5), ANN, "seed")
    idle.store.change(ids[0], lambda job: states.begin(job, "worker"))
    idle.desk.submissions.cancel(ids[4], ANN)
    assert batches.cancel(batch.id, ANN) == batch
    assert batches.counts(batch.id) == {"running": 1, "canceled": 4}
    assert idle.store.row(ids[0]).cancel_requested
    assert [row.id for row in batches.rows(batch)] == ids[::-1]
    assert [row.id for row in batches.rows(batch, ("running",))] == ids[:1]
    assert batches.cancel(batch.id, ANN) == batch


def test_a_job_that_ends_while_its_batch_is_canceled_is_no_obstacle(
    idle: Service, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, ids = batches.create(request([picture(idle)] * 3), ANN, "seed")
    rows = list(batches.rows(batch))
    idle.desk.submissions.cancel(ids[1], ANN)
    monkeypatch.setattr(Batches, "rows", lambda *_: iter(rows))
    batches.cancel(batch.id, ANN)
    assert batches.counts(batch.id) == {"canceled": 3}


def test_a_batch_is_forgotten_by_itself(idle: Service, batches: Batches) -> None:
    batch, ids = batches.create(request([picture(idle)]), ANN, "seed")
    batches.forget(batch)
    assert batches.page("ann") == ([], None)
    assert idle.store.row(ids[0]).batch == batch.id


def stored(database: Database, *moments: float, owner: str = "ann") -> list[str]:
    """Batches that were made at these moments."""
    ids = [f"batch_{new_seed()}{number}" for number in range(len(moments))]
    with database.begin() as connection:
        for id, moment in zip(ids, moments, strict=True):
            values = {"id": id, "owner": owner, "total": 1, "request": {}, "created_at": moment}
            connection.execute(sa.insert(table).values(**values))
    return ids


def bare(database: Database) -> Batches:
    """For what needs nothing but the database."""
    return Batches(database, None, None)  # type: ignore[arg-type]


def test_pages_go_from_the_newest_to_the_oldest_and_leave_none_out(database: Database) -> None:
    ids = stored(database, 1.5, 2.0, 2.0, 2.0, 1_800_000_000.123456)
    stored(database, 2.0, owner="bob")
    found: list[BatchRow] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        page, cursor = bare(database).page("ann", cursor, 2)
        found += page
        pages += 1
    assert pages == 3
    assert [row.id for row in found] == [ids[4], *sorted(ids[1:4], reverse=True), ids[0]]
    assert [row.created_at for row in found] == [1_800_000_000.123456, 2.0, 2.0, 2.0, 1.5]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(st.characters(codec="utf-8"), max_size=40),
        st.from_regex(r"[0-9.e-]{0,9}-batch_1", fullmatch=True),
    )
)
@example("1.5-\0")
@example("nan-batch_1")
def test_any_cursor_is_one_or_is_refused(database: Database, cursor: str) -> None:
    with suppress(OptionError):
        assert bare(database).page("ann", cursor) == ([], None)


@pytest.mark.parametrize(
    "cursor", ["", "x", "-", "b-1.5", "1.5", "x-batch_1", "1.5.5-batch_1", "1.5-job_1", "1.5-batch_\0"]
)
def test_what_is_no_cursor_is_refused(database: Database, cursor: str) -> None:
    with pytest.raises(OptionError, match="leave it away to begin at the newest"):
        bare(database).page("ann", cursor)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from(STATUSES), st.integers(0, 3)))
def test_a_batch_has_ended_when_no_job_is_left_to_do(counts: dict[Any, int]) -> None:
    waiting = sum(counts.get(status, 0) for status in ("drafted", "queued", "running"))
    assert has_ended(counts) is (waiting == 0)
