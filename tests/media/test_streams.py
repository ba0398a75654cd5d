from __future__ import annotations

import gc
from pathlib import Path

from av.video.frame import VideoFrame

from mien.media.sniff import sniff
from mien.media.streams import stream_info
from tests.media.clips import make_clip


def test_nothing_of_a_video_stays_in_memory_until_garbage_is_collected(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=3)
    gc.collect()
    before = {id(item) for item in gc.get_objects() if isinstance(item, VideoFrame)}
    gc.disable()
    try:
        info = stream_info(clip, sniff(clip), 1 << 20)
        left = [item for item in gc.get_objects() if isinstance(item, VideoFrame) and id(item) not in before]
    finally:
        gc.enable()
    assert info.video is not None
    assert info.video.frame_count == 3
    assert not left
