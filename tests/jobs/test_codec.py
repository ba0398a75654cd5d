from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import JobUnreadable
from mien.jobs.codec import decode, encode, to_line
from mien.jobs.job import STATUSES, STEP_STATUSES, Attempt, Failure, FailureKind, Finished, Job, JobStep

words = st.text(max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
failures = st.builds(
    Failure, kind=st.sampled_from(get_args(FailureKind)), message=words, step=st.integers(0, 9)
)
attempts = st.builds(
    Attempt, outcome=st.none() | st.sampled_from(STATUSES), number=st.integers(1), worker=words
)
finished = st.builds(Finished, seconds=st.floats(0, 1e9), notices=st.lists(words, max_size=2).map(tuple))
own = st.dictionaries(st.from_regex(r"x_[a-z]{1,5}", fullmatch=True), plain, max_size=2)
steps = st.builds(
    JobStep,
    args=st.dictionaries(words, plain, max_size=3),
    status=st.sampled_from(STEP_STATUSES),
    open=st.lists(words, max_size=2).map(tuple),
    inputs=st.none() | words.filter(bool),
    finished=st.none() | finished,
    failure=st.none() | failures,
    extra=own,
)
jobs = st.builds(
    Job,
    id=st.just("x"),
    status=st.sampled_from(STATUSES),
    steps=st.lists(steps, max_size=3).map(tuple),
    attempts=st.lists(attempts, max_size=2).map(tuple),
    failure=st.none() | failures,
    extra=own,
)


@given(jobs)
def test_a_job_is_read_as_it_was_written_as_a_file_or_a_line(job: Job) -> None:
    assert decode("x", job.status, encode(job)) == job
    line = to_line(job)
    assert "\n" not in line
    assert decode("x", job.status, line.encode()) == job


def test_a_file_has_what_others_read_at_its_top_and_the_rest_apart() -> None:
    step = JobStep({"target_path": "a.png"}, "queued", inputs="ab")
    file = encode(Job("x", "2026-01-01", steps=(step,), extra={"theirs": 1}))
    assert json.loads(file) == {
        "version": "1",
        "date_created": "2026-01-01",
        "date_updated": None,
        "steps": [{"args": {"target_path": "a.png"}, "status": "queued", "mien": {"inputs": "ab"}}],
        "theirs": 1,
    }
    assert file.startswith(b'{\n    "version"')


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"version": "1", "date_created": "", "date_updated": null, "steps": 1}',
        b'{"version": "1", "date_created": "", "date_updated": null, "steps": [{"args": {}, "status": "odd"}]}',
    ],
)
def test_what_is_no_job_file_is_told_in_a_sentence(content: bytes) -> None:
    with pytest.raises(JobUnreadable, match=r"The file of the job x is no job file \(\w+\)\."):
        decode("x", "queued", content)


def test_failures_of_a_later_version_are_of_an_unknown_kind() -> None:
    job = Job("x", "", status="failed", failure=Failure("timeout", "Too late."))
    later = encode(job).replace(b'"timeout"', b'"eclipse"')
    found = decode("x", "failed", later).failure
    assert found is not None
    assert (found.kind, found.message) == ("internal", "Too late.")
