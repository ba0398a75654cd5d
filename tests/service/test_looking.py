from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.comfyui import ComfySettings
from mien.errors import (
    AssetMissing,
    Canceled,
    ConsentMissing,
    CorruptMedia,
    Forbidden,
    InputError,
    OptionError,
)
from mien.pipeline.progress import Cancel
from mien.service.callers import Caller
from mien.service.looking import Looking, Newest, data_url, face_view
from mien.service.requests import DetectRequest, LiveRequest, PreviewRequest, TimelineRequest
from mien.service.service import Service
from mien.types import Box
from tests.media.clips import make_clip
from tests.pipeline.fakes import face_at
from tests.server.served import face_png
from tests.service.comfy_places import make_service

ANN, BOB = Caller("ann", "k1"), Caller("bob", "k2")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with make_service(tmp_path_factory.mktemp("service"), ComfySettings()) as found:
        yield found


@pytest.fixture(scope="module")
def asset(service: Service) -> str:
    return str(service.assets.add_stream([face_png()], "ann", "face.png").id)


@pytest.fixture(scope="module")
def clip(service: Service, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=50)
    return str(service.assets.store_file(path, "ann", "clip.mp4").id)


class Counted:
    """Assets that know how many files they have given out and not got back."""

    def __init__(self, assets: Any) -> None:
        self._assets, self.out = assets, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assets, name)

    @contextmanager
    def local_copy(self, id: str, owner: str | None) -> Iterator[Path]:
        with self._assets.local_copy(id, owner) as path:
            self.out += 1
            try:
                yield path
            finally:
                self.out -= 1


@pytest.fixture
def counted(service: Service) -> Any:
    return Counted(service.assets)


@pytest.fixture
def looking(service: Service, counted: Any) -> Looking:
    return replace(service.desk.looking, assets=counted, newest=Newest())


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from([None, "", "one"]), st.booleans()), max_size=12
)


@settings(deadline=None, max_examples=60)
@given(OPERATIONS, st.randoms(use_true_random=False))
def test_of_a_group_the_newest_alone_goes_on(
    operations: list[tuple[str, str | None, bool]], order: Any
) -> None:
    """In whatever order requests come and end."""
    newest, running = Newest(), list[tuple[Any, AbstractContextManager[Cancel], Cancel]]()
    overtaken: list[Cancel] = []
    current: dict[Any, Cancel] = {}
    for owner, group, ends in operations:
        name = (owner, group)
        entered = newest.only(owner, group)
        cancel = entered.__enter__()
        if group is not None:
            if name in current:
                overtaken.append(current[name])
            current[name] = cancel
        running.append((name, entered, cancel))
        if ends:
            done, left, stopped = running.pop(order.randrange(len(running)))
            left.__exit__(None, None, None)
            if current.get(done) is stopped:
                del current[done]
        assert all(found.is_set == (found in overtaken) for _, _, found in running)
        assert newest.count == len(current)
    with ExitStack() as ends_all:
        for _, entered, _ in running:
            ends_all.push(entered)
    assert newest.count == 0


def test_a_request_that_fails_makes_room() -> None:
    newest = Newest()
    with pytest.raises(ZeroDivisionError), newest.only("ann", "one"):
        raise ZeroDivisionError
    assert newest.count == 0


def test_faces_are_told_with_what_the_selector_says(looking: Looking, asset: str, counted: Any) -> None:
    request = DetectRequest(asset=asset, crops=True, crop_size=64)
    found = looking.detect_asset(request, ANN)
    assert (found["width"], found["height"], found["frame"]) == (32, 24, 0)
    (face,) = found["faces"]
    assert (face["id"], face["box"], face["score"]) == ("f0-8-6-20-18", [8.0, 6.0, 20.0, 18.0], 0.9)
    assert face["crop"].startswith("data:image/jpeg;base64,/9j/")
    assert counted.out == 0
    with pytest.raises(AssetMissing):
        looking.detect_asset(request, BOB)
    with pytest.raises(InputError):
        looking.detect_asset(DetectRequest(asset="https://127.0.0.1/a.png"), ANN)


def test_a_face_is_shown_without_a_picture_unless_asked_for() -> None:
    face = replace(face_at(Box(1.234, 2.0, 30.0, 40.006)), score=0.123456)
    image = np.zeros((50, 60, 3), np.uint8)
    shown = face_view(face, 3, image, None)
    assert "crop" not in shown
    assert (shown["box"], shown["score"]) == ([1.23, 2.0, 30.0, 40.01], 0.1235)
    assert (len(shown["landmarks"]["5"]), len(shown["landmarks"]["68"])) == (5, 68)
    assert data_url(b"\xff") == "data:image/jpeg;base64,/w=="


def test_only_options_of_finding_faces_are_taken(looking: Looking) -> None:
    assert looking.face_options({"face_selector_order": "left-right"}) == {
        "face_selector_order": "left-right"
    }
    assert looking.face_options({}) == {}
    with pytest.raises(OptionError) as caught:
        looking.face_options({"face_detector_score": 7, "output_image_quality": 3})
    fields = {field for field, _ in caught.value.details}
    assert fields == {"options.face_detector_score", "options.output_image_quality"}


def test_a_timeline_is_looked_at_moment_by_moment(looking: Looking, clip: str, counted: Any) -> None:
    views = looking.timeline(TimelineRequest(asset=clip, every=0.5), ANN)
    assert counted.out == 1
    found = list(views)
    assert counted.out == 0
    assert [view["frame"] for view in found] == sorted({view["frame"] for view in found})
    assert len(found) >= 3
    assert set(found[0]) == {"time", "frame", "faces", "thumbnail"}
    bare = looking.timeline(TimelineRequest(asset=clip, thumbnails=False), ANN)
    assert next(bare)["thumbnail"] is None
    bare.close()  # type: ignore[attr-defined]
    assert counted.out == 0


def test_what_is_wrong_with_a_timeline_is_said_before_the_first_moment(
    looking: Looking, clip: str, counted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssetMissing):
        looking.timeline(TimelineRequest(asset=clip), BOB)

    def scan(*words: Any, **more: Any) -> Iterator[Any]:
        raise CorruptMedia("clip.mp4 is damaged.")
        yield

    monkeypatch.setattr(looking.engine(), "scan", scan)
    with pytest.raises(CorruptMedia) as caught:
        looking.timeline(TimelineRequest(asset=clip), ANN)
    assert (counted.out, caught.type) == (0, CorruptMedia)  # while the error is still at hand


def test_a_preview_is_a_frame_with_the_work_done(looking: Looking, asset: str, counted: Any) -> None:
    made = looking.preview(PreviewRequest(processors=["marker"], target=asset, size=None), ANN, "one")
    picture = cv2.imdecode(np.frombuffer(made.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture[12, 14].min() > 240
    assert (made.faces, made.milliseconds > 0, looking.newest.count, counted.out) == (1, True, 0, 0)


def test_a_preview_that_was_overtaken_shows_nothing(looking: Looking, asset: str, counted: Any) -> None:
    class Overtaken(Newest):
        @contextmanager
        def only(self, owner: str, group: str | None) -> Iterator[Cancel]:
            with super().only(owner, group) as mine, super().only(owner, group):
                yield mine

    late = replace(looking, newest=Overtaken())
    with pytest.raises(Canceled):
        late.preview(PreviewRequest(processors=["inverter"], target=asset), ANN, "one")
    assert counted.out == 0
    assert late.preview(PreviewRequest(processors=["inverter"], target=asset), ANN, None).content


@pytest.mark.parametrize(
    ("wish", "error", "field"),
    [
        ({"target": {"step": 0}}, InputError, None),
        ({"target": None}, InputError, "target"),
        ({"target": "c" * 64}, InputError, "target"),
        ({"processors": ["none"]}, OptionError, "processors.0"),
        ({"options": {"inverter_strength": 300}}, OptionError, "options.inverter_strength"),
        ({"options": {"content_policy": "off"}}, Forbidden, "options.content_policy"),
        ({"processors": ["needs_source"]}, InputError, "sources"),
    ],
)
def test_a_preview_is_held_to_the_rules_of_jobs(
    looking: Looking, asset: str, wish: dict[str, Any], error: type[Exception], field: str | None
) -> None:
    request = PreviewRequest.model_validate({"processors": ["inverter"], "target": asset, **wish})
    with pytest.raises(error) as caught:
        looking.preview(request, ANN, "one")
    details = getattr(caught.value, "details", ())
    assert [name for name, _ in details] == ([] if field is None else [field])
    assert looking.newest.count == 0


def test_without_the_consent_that_is_asked_for_nothing_is_shown(looking: Looking, asset: str) -> None:
    rules = looking.checker.settings.model_copy(update={"require_consent": True})
    strict = replace(looking, checker=replace(looking.checker, settings=rules))
    with pytest.raises(ConsentMissing):
        strict.preview(PreviewRequest(processors=["inverter"], target=asset), ANN, None)
    with pytest.raises(ConsentMissing), strict.live(LiveRequest(processors=["inverter"]), ANN):
        pass
    with_consent = {"options": {"consent_ref": "form 1"}}
    assert strict.preview(PreviewRequest(processors=["inverter"], target=asset, **with_consent), ANN, None)


def test_a_live_picture_is_accounted_for_even_if_it_breaks_off(looking: Looking, asset: str) -> None:
    kept: list[Any] = []

    class Accounts:
        def record_live(self, *record: Any) -> None:
            kept.append(record)

    accounts: Any = Accounts()
    mine = replace(looking, accounts=accounts)
    wish = LiveRequest(processors=["inverter"], sources=[asset], options={"consent_ref": "form 2"})
    with pytest.raises(ZeroDivisionError), mine.live(wish, ANN):
        raise ZeroDivisionError
    ((owner, processors, consent, _, seconds),) = kept
    assert (owner, processors, consent, seconds >= 0) == ("ann", ("inverter",), "form 2", True)
    with pytest.raises(InputError), mine.live(wish, BOB):  # the source is somebody else's
        pass
    assert len(kept) == 1


def test_marks_say_whether_faces_were_made_or_a_picture_improved(looking: Looking) -> None:
    made, improved = str(looking.marks(("marker",))), str(looking.marks(("inverter",)))
    assert "compositeWithTrainedAlgorithmicMedia" in made
    assert "compositeWithTrainedAlgorithmicMedia" not in improved
