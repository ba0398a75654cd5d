"""Swaps by another engine that is a stand-in: what it is told, what it is kept from, and what becomes of its result."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import (
    AssetMissing,
    Canceled,
    ConsentMissing,
    FetchError,
    InputError,
    MediaTooLarge,
    MienError,
    StorageError,
    StorageRefused,
    UnsafeInput,
    UnsupportedMedia,
)
from mien.jobs.job import JobStep
from mien.pipeline.progress import Cancel
from mien.service.remote_engine import Swapped
from mien.service.remote_steps import POSSIBLE, RemoteSteps, is_possible
from mien.service.settings import ServiceSettings
from mien.service.steps import StepDone, StepTask
from tests.service.conftest import picture
from tests.service.rows import row_with

STEP = {"source_paths": ["asset:s"], "target_path": "asset:t", "processors": ["face_swapper"]}
HERE = "https://engine.example.org"
ELSEWHERE = "https://store.example.org/out.png"


class Other:
    """The other engine."""

    url = HERE

    def __init__(self, said: list[Any]) -> None:
        self.said = said
        self.made = Swapped(ELSEWHERE, {"faces": 2, "models": ["theirs"]})
        self.mien = True
        self.status, self.chunks = 200, [picture()]
        self.broken: MienError | httpx2.HTTPError | None = None

    def swap(self, wish: Mapping[str, Any], key: str, cancel: Cancel) -> Swapped:
        cancel.raise_if_set()
        self.said.append(("swap", dict(wish), key))
        return self.made

    def owns(self, url: str) -> bool:
        return url.startswith(HERE)

    def is_mien(self) -> bool:
        return self.mien

    @contextmanager
    def stream(self, url: str) -> Iterator[Any]:
        self.said.append(("stream", url))

        def chunks() -> Iterator[bytes]:
            yield from self.chunks
            if self.broken is not None:
                raise self.broken

        yield SimpleNamespace(is_success=self.status < 300, status_code=self.status, iter_bytes=chunks)


class Own:
    """The face engine, the assets and the fetcher of this service."""

    def __init__(self, said: list[Any]) -> None:
        self.said = said
        self.unsafe = self.unsigned = self.beside = False

    def judge(self, files: Iterable[Path], options: Mapping[str, Any] | None = None) -> Any:
        self.said.append(("judge", [path.name for path in files], dict(options or {})))
        if self.unsafe:
            raise UnsafeInput("The target shows sexual content, which the content policy refuses.")

    def adopt_result(self, made: Path, output: Path, **how: Any) -> Any:
        self.said.append(("adopt", made.name, output.name, how))
        shutil.copyfile(made, output)
        if self.beside:
            output.with_name(f"{output.name}.c2pa").write_bytes(b"manifest")
        return SimpleNamespace(output=output, notices=("marked",), content="safe", signed=True)

    def get(self, id: str, owner: str | None) -> Any:
        if (id, owner) not in (("s", "ann"), ("t", "ann")):
            raise AssetMissing(f"There is no asset {id}.")
        return id

    def sign(self, asset: Any, seconds: int) -> str:
        if self.unsigned:
            raise StorageError("No address.")
        return f"https://mien.example.org/{asset}?for={seconds}"

    def fetch(self, url: str, folder: Path) -> Path:
        self.said.append(("fetch", url))
        path = folder / "out.png"
        path.write_bytes(picture())
        return path


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[Any] = []
        self.other, self.own = Other(self.said), Own(self.said)
        self.cancel = Cancel()

    def run(
        self, args: Mapping[str, Any] = {}, media: Mapping[str, Any] = {}, request: Any = None, **given: Any
    ) -> StepDone:
        own: Any = self.own
        other: Any = self.other
        steps = RemoteSteps(other, lambda: own, own, ServiceSettings(**given), lambda: own)
        stored = JobStep({**STEP, **args})
        row = replace(row_with(stored, fence=3, request=request or {}), owner="ann")
        local = replace(
            stored, args={**stored.args, "source_paths": ["/in/s.png"], "target_path": "/in/t.png"}
        )
        task = StepTask(row, 0, local, self.folder, self.folder / "holiday.jpg", media, self.cancel)
        return steps.run(task)

    @property
    def wish(self) -> dict[str, Any]:
        """What the other engine was asked for."""
        (found,) = [said[1] for said in self.said if said[0] == "swap"]
        return dict(found)

    @property
    def order(self) -> list[str]:
        return [said[0] for said in self.said]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_swap_is_judged_done_elsewhere_fetched_and_marked_here(place: Place) -> None:
    done = place.run({"face_swapper_model": "hyperswap"}, {"width": 640, "height": 480})
    assert place.said == [
        ("judge", ["t.png", "s.png"], {"content_policy": "refuse"}),
        (
            "swap",
            {
                "source_url": "https://mien.example.org/s?for=3600",
                "target_url": "https://mien.example.org/t?for=3600",
                "resolution": "640x480",
                "model": "hyperswap",
            },
            "job_1-0-3",
        ),
        ("fetch", ELSEWHERE),
        (
            "adopt",
            "out.png",
            "holiday.png",  # what it is, whatever was asked for
            {
                "operation": "edited",
                "name": "face_swapper",
                "sources": (Path("/in/t.png"), Path("/in/s.png")),
                "options": {"content_policy": "refuse"},
                "must_mark": True,
            },
        ),
    ]
    assert done.files == (place.folder / "holiday.png",)
    assert (done.frames, done.faces, done.models) == (1, 2, ("theirs",))
    assert (done.notices, done.content, done.signed) == (("marked",), "safe", True)


def test_a_signature_beside_the_result_comes_after_it(place: Place) -> None:
    place.own.beside = True
    done = place.run()
    assert [path.name for path in done.files] == ["holiday.png", "holiday.png.c2pa"]


@pytest.mark.parametrize(
    ("asked", "rule", "held"),
    [
        ("off", "flag", "flag"),
        ("refuse", "off", "refuse"),
        (None, "off", "off"),
        ("flag", "refuse", "refuse"),
    ],
)
def test_the_stricter_policy_holds(place: Place, asked: str | None, rule: str, held: str) -> None:
    place.run({"content_policy": asked}, content_policy=rule, marking_required=False)
    assert place.said[0][2] == {"content_policy": held}
    assert place.said[-1][3]["options"] == {"content_policy": held}
    assert place.said[-1][3]["must_mark"] is False


def test_what_is_refused_here_is_sent_nowhere(place: Place) -> None:
    place.own.unsafe = True
    with pytest.raises(UnsafeInput):
        place.run()
    assert place.order == ["judge"]


@pytest.mark.parametrize(
    ("wanted", "media", "said"),
    [
        ("512x512", {"width": 640, "height": 480}, "512x512"),
        (None, {"width": 640, "height": 480}, "640x480"),
        (None, {"width": 40, "height": 20000}, "100x9999"),
        (None, {}, None),
        (None, {"width": 640, "height": 0}, None),
    ],
)
def test_the_result_is_as_large_as_was_asked_for_or_as_the_target(
    place: Place, wanted: str | None, media: dict[str, Any], said: str | None
) -> None:
    place.run({"resolution": wanted}, media)
    assert place.wish.get("resolution") == said


def test_the_consent_is_told_to_the_other_engine_where_there_is_one(place: Place) -> None:
    place.run({"consent_ref": "form 1"}, request={"consent_ref": "form 2"}, require_consent=True)
    assert place.wish["consent_ref"] == "form 1"


def test_the_consent_of_the_request_is_that_of_its_steps(place: Place) -> None:
    place.run(request={"consent_ref": "form 2"}, require_consent=True)
    assert place.wish["consent_ref"] == "form 2"


def test_without_the_consent_that_is_asked_for_nothing_is_sent(place: Place) -> None:
    with pytest.raises(ConsentMissing, match="asks for consent_ref") as caught:
        place.run(require_consent=True)
    assert caught.value.code == "consent_missing"
    assert place.said == []


def test_inputs_must_be_files_with_an_address(place: Place) -> None:
    with pytest.raises(InputError, match="files of the client only"):
        place.run({"target_path": "step:0"})
    with pytest.raises(AssetMissing):
        place.run({"target_path": "asset:somebody else's"})
    place.own.unsigned = True
    with pytest.raises(StorageRefused, match="set MIEN_PUBLIC_URL") as caught:
        place.run()
    assert not caught.value.retryable
    assert place.said == []


def test_a_run_that_was_stopped_leaves_no_result(place: Place) -> None:
    place.cancel.set()
    with pytest.raises(Canceled):
        place.run()
    assert place.order == ["judge"]
    assert list(place.folder.iterdir()) == []


RESULT = "/api/v1/jobs/job_9/result"


@pytest.mark.parametrize(
    ("url", "mien", "how"),
    [
        (f"{HERE}/files/1", False, ("stream", f"{HERE}/files/1")),
        (f"http://10.0.0.7:8080{RESULT}?index=1", True, ("stream", f"{HERE}{RESULT}?index=1")),
        (f"http://10.0.0.7:8080{RESULT}", True, ("stream", f"{HERE}{RESULT}")),
        (f"http://10.0.0.7:8080{RESULT}", False, ("fetch", f"http://10.0.0.7:8080{RESULT}")),
        (f"http://10.0.0.7:8080{RESULT}/more", True, ("fetch", f"http://10.0.0.7:8080{RESULT}/more")),
        ("https://x.example.org/a.png", True, ("fetch", "https://x.example.org/a.png")),
    ],
)
def test_a_result_is_fetched_by_the_rules_unless_the_engine_itself_has_it(
    place: Place, url: str, mien: bool, how: tuple[str, str]
) -> None:
    """mien may know itself by a name under which it is not reached from here."""
    place.other.made, place.other.mien = Swapped(url, {}), mien
    assert place.run().files[0].read_bytes() == picture()
    assert place.said[2] == how


def test_a_result_that_the_engine_does_not_give_out(place: Place) -> None:
    place.other.made, place.other.status = Swapped(f"{HERE}/x", {}), 403
    with pytest.raises(FetchError, match="does not give its result out: status 403"):
        place.run()


def test_a_result_that_breaks_off(place: Place) -> None:
    place.other.made, place.other.broken = Swapped(f"{HERE}/x", {}), httpx2.ReadError("gone")
    with pytest.raises(FetchError, match="broke off") as caught:
        place.run()
    assert caught.value.retryable


def test_a_result_without_end_is_cut_off(place: Place) -> None:
    place.other.made, place.other.chunks = Swapped(f"{HERE}/x", {}), [bytes(1 << 18)] * 1000
    with pytest.raises(MediaTooLarge):
        place.run(max_upload_mb=0.25)
    assert (place.folder / "remote" / "result").stat().st_size <= 5 * (1 << 18)


def test_a_result_that_is_no_media_is_refused(place: Place) -> None:
    place.other.made, place.other.chunks = Swapped(f"{HERE}/x", {}), [b"<html>Please log in</html>"]
    with pytest.raises(UnsupportedMedia):
        place.run()
    assert "adopt" not in place.order


@pytest.mark.parametrize(
    ("facts", "faces", "models"),
    [
        ({}, 0, ()),
        ({"faces": "many", "models": None}, 0, ()),
        ({"faces": -1, "models": 5}, 0, ()),
        ({"faces": 3.5, "models": "abc"}, 0, ()),
        ({"faces": None, "models": {"a": 1}}, 0, ()),
        ({"faces": 4, "models": ["x" * 300, 7]}, 4, ("x" * 100, "7")),
        ({"models": ["m"] * 50}, 0, ("m",) * 20),
    ],
)
def test_what_the_engine_says_of_its_work_is_believed_within_limits(
    place: Place, facts: dict[str, Any], faces: int, models: tuple[str, ...]
) -> None:
    place.other.made = Swapped(ELSEWHERE, facts)
    done = place.run()
    assert (done.faces, done.models) == (faces, models)


def test_which_steps_another_engine_can_do() -> None:
    step = {**STEP, "output_path": "c"}
    assert is_possible(JobStep({**step, "face_swapper_model": "m", "resolution": "1x1", "consent_ref": "c"}))
    for more in (
        {"face_swapper_weight": 0.5},
        {"processors": ["face_swapper", "face_enhancer"]},
        {"processors": []},
        {"source_paths": ["a", "b"]},
        {"source_paths": []},
        {"face_map": [{}]},
    ):
        assert not is_possible(JobStep({**step, **more}))


@settings(deadline=None, max_examples=40)
@given(st.text(min_size=1, max_size=8).filter(lambda key: key not in POSSIBLE))
def test_a_step_with_any_other_option_stays_here(key: str) -> None:
    assert not is_possible(JobStep({**STEP, key: 1}))
