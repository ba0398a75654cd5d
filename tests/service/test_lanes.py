from __future__ import annotations

import pytest

from mien.errors import OptionError
from mien.service.lanes import OTHER, PARTS, PICTURES, VIDEOS, WORKFLOWS, lanes_of
from mien.service.settings import ServiceSettings

PLACES = {"comfyui:main": 3}


def _names(*queues: str) -> list[str]:
    return [lane.name for lane in lanes_of(ServiceSettings(queues=queues), PLACES)]


def test_a_worker_serves_every_queue_unless_it_is_told_which() -> None:
    assert _names() == [PICTURES, VIDEOS, PARTS, "comfyui:main", OTHER]
    assert _names(PICTURES) == [PICTURES]
    assert _names(WORKFLOWS, OTHER) == ["comfyui:main", OTHER]


def test_pictures_are_looked_for_more_often_than_what_takes_long() -> None:
    settings = ServiceSettings(workers=4, video_workers=2, poll_seconds=0.02)
    lanes = {lane.name: lane for lane in lanes_of(settings, PLACES)}
    assert {name: lanes[name].at_once for name in (PICTURES, VIDEOS, PARTS)} == {
        PICTURES: 4,
        VIDEOS: 2,
        PARTS: 2,
    }
    assert lanes["comfyui:main"].at_once == 3
    assert lanes[PICTURES].poll_seconds == 0.02
    assert all(lane.poll_seconds > 0.02 for name, lane in lanes.items() if name != PICTURES)


def test_a_queue_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(OptionError, match="There is no queue gpus; MIEN_QUEUES can name pictures, videos"):
        _names(PICTURES, "gpus")
