from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mien.service.lanes import PARTS
from mien.service.parts import BODY, PartMaker
from tests.pipeline.clips import make_clip
from tests.service.workplaces import Workplace, workplace

STEP = {"output_path": "result:clip.mp4", "processors": ["inverter"]}


def submit(place: Workplace, folder: Path) -> None:
    clip = make_clip(folder / "clip.mp4", 100)
    place.submit({**STEP, "target_path": f"asset:{place.assets.store_file(clip, '', 'clip.mp4').id}"})


def parts_of(place: Workplace) -> list[str]:
    found = place.engine._client.list_workflows(name=BODY, load_input=False, load_output=False)
    return [status.workflow_id for status in found]


def test_a_video_is_not_shared_where_nobody_would_help(tmp_path: Path) -> None:
    with workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data", segment_seconds=1.0) as place:
        place.jobs.start("all")
        submit(place, tmp_path)
        assert place.wait().status == "completed"
        assert parts_of(place) == []


def test_a_part_that_is_spoilt_on_its_way_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker is in the list that never does anything, so that the video is shared."""
    spoilt: list[str] = []
    put = PartMaker._put

    def spoiling(maker: PartMaker, path: Path, note: Mapping[str, Any]) -> dict[str, Any]:
        made = put(maker, path, note)
        if note["index"] == 1 and not spoilt:
            spoilt.append(made["url"])
            made = {**made, "sha256": "0" * 64}
        return made

    monkeypatch.setattr(PartMaker, "_put", spoiling)
    with workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data", segment_seconds=1.0) as place:
        place.jobs.executors.begin("idle", "worker", {"queues": [PARTS]})
        place.jobs.start("all")
        submit(place, tmp_path)
        row = place.wait()
        assert (row.status, row.results[0]["frames"]) == ("completed", 100)
        rounds = [tuple(map(int, id.rsplit("-", 2)[1:])) for id in parts_of(place)]
    assert sorted(rounds) == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0), (4, 0)]


def test_nothing_of_the_parts_is_left(tmp_path: Path) -> None:
    with workplace(f"sqlite:///{tmp_path}/mien.db", tmp_path / "data", segment_seconds=1.0) as place:
        place.jobs.executors.begin("idle", "worker", {"queues": [PARTS]})
        place.jobs.start("all")
        submit(place, tmp_path)
        row = place.wait()
        assert row.status == "completed"
        kept = [path for path in (tmp_path / "data" / "storage").rglob("*") if path.is_file()]
        assert len(kept) == 2  # the target and the result
        assert not any((tmp_path / "data" / "scratch" / "runs").iterdir())
        assert any(
            "on several workers" in event.data.get("message", "") for event in place.events.since(row.id)
        )
