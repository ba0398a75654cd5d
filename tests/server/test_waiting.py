from __future__ import annotations

from mien.errors import Canceled, MienError, NoFace, QueueFull, RemoteFailed
from mien.jobs.job import Failure
from mien.server.waiting import error_of


def test_a_failure_is_the_error_that_it_was() -> None:
    error = error_of(Failure("no_face", "There is no face.", "no_face"))
    assert isinstance(error, NoFace)
    assert str(error) == "There is no face."
    assert isinstance(error_of(Failure("internal", "Full.", "queue_full")), QueueFull)
    assert isinstance(error_of(Failure("lost", "Gone.", "internal")), RemoteFailed)
    assert type(error_of(Failure("internal", "Broken.", "of_tomorrow"))) is MienError
    assert isinstance(error_of(None), Canceled)
