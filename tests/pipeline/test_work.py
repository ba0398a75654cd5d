from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from mien.errors import Canceled, DiskFull, InputMissing, OutputNotWritable
from mien.pipeline.progress import Cancel
from mien.pipeline.work import EDGE, Note, file_identity, hash_of, open_area, open_for_parts, prune, writing

PLACE = (1.0, 2.0, 3.5, 4.0)


def test_a_kept_segment_is_found_again_and_an_unfinished_one_is_not(tmp_path: Path) -> None:
    with open_area(tmp_path, "abc", cancel=Cancel()) as area:
        with area.making("seg0000.mkv") as part:
            part.write_bytes(b"whole")
            area.keep(part, "seg0000.mkv", Note(10, 3, ("odd",), PLACE, 4, 1))
        (area.folder / "part-seg0001.mkv").write_bytes(b"torn")
    with open_area(tmp_path, "abc", cancel=Cancel()) as area:
        assert area.find("seg0000.mkv") == (area.folder / "seg0000.mkv", Note(10, 3, ("odd",), PLACE, 4, 1))
        assert area.find("seg0001.mkv") is None
        with area.claim("seg0001.mkv"):
            assert sorted(path.name for path in area.folder.iterdir()) == ["seg0000.json", "seg0000.mkv"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"frames": 1}', '{"frames": "x", "faces": 0, "warnings": []}']
)
def test_a_segment_without_a_readable_note_is_made_again(tmp_path: Path, text: str) -> None:
    with open_area(tmp_path, "abc", cancel=Cancel()) as area:
        (area.folder / "seg.mkv").write_bytes(b"x")
        (area.folder / "seg.json").write_text(text)
        assert area.find("seg.mkv") is None


def test_a_failed_segment_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with open_area(tmp_path, "abc", cancel=Cancel()) as area, area.making("seg.mkv") as part:
            part.write_bytes(b"half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_removed_work_leaves_nothing(tmp_path: Path) -> None:
    with open_area(tmp_path / "new", "abc", cancel=Cancel()) as area:
        (area.folder / "seg.mkv").write_bytes(b"x")
        area.remove()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_second_run_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with open_area(tmp_path, "abc", cancel=Cancel(), on_wait=waiting.set, pause=0.005) as area:
            order.append("second")
            assert area.find("seg.mkv") is None
            (area.folder / "mine").write_bytes(b"x")

    with open_area(tmp_path, "abc", cancel=Cancel()) as area:
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
        area.remove()
    thread.join(10)
    assert order == ["first", "second"]
    assert (tmp_path / "abc" / "mine").exists()


def test_waiting_ends_with_cancel(tmp_path: Path) -> None:
    cancel = Cancel()
    with (
        open_area(tmp_path, "abc", cancel=Cancel()),
        pytest.raises(Canceled),
        open_area(tmp_path, "abc", cancel=cancel, on_wait=cancel.set, pause=10),
    ):
        pass


def test_stale_work_is_removed_unless_it_is_held(tmp_path: Path) -> None:
    for name in ("old", "held", "fresh"):
        with open_area(tmp_path, name, cancel=Cancel()) as area:
            (area.folder / "seg.mkv").write_bytes(b"x")
    long_ago = time.time() - 30 * 24 * 3600
    with open_area(tmp_path, "held", cancel=Cancel()):
        for name in ("old", "held"):
            os.utime(tmp_path / name, (long_ago, long_ago))
        prune(tmp_path)
        assert (tmp_path / "held" / "seg.mkv").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "fresh.lock", "held", "held.lock"]


def test_identity_follows_content_and_time(tmp_path: Path) -> None:
    path = tmp_path / "video"
    path.write_bytes(bytes(3 * EDGE))
    os.utime(path, ns=(5, 5))
    first = file_identity(path)
    assert first == file_identity(path)
    changed = bytearray(3 * EDGE)
    changed[-1] = 1
    path.write_bytes(changed)
    os.utime(path, ns=(5, 5))
    assert file_identity(path) != first
    path.write_bytes(bytes(3 * EDGE))
    os.utime(path, ns=(6, 6))
    assert file_identity(path) != first
    with pytest.raises(InputMissing):
        file_identity(tmp_path / "nothing")


def test_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert hash_of({"a": 1, "b": (2, None)}) == hash_of({"b": (2, None), "a": 1})
    assert hash_of({"a": 1}) != hash_of({"a": 1.5})


def test_why_a_folder_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="is full"), writing(tmp_path):
        raise OSError(28, "No space left on device")
    with pytest.raises(OutputNotWritable, match="Read-only"), writing(tmp_path):
        raise OSError(30, "Read-only file system")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputNotWritable), open_area(file / "work", "abc", cancel=Cancel()):
        pass


def test_one_segment_is_made_by_one_at_a_time_and_others_beside_it(tmp_path: Path) -> None:
    waiting, order = threading.Event(), []

    def second() -> None:
        with (
            open_for_parts(tmp_path, "abc", cancel=Cancel(), on_wait=waiting.set, pause=0.005) as area,
            area.claim("seg0000.mkv"),
        ):
            order.append("second")

    with open_area(tmp_path, "abc", cancel=Cancel()) as area, area.claim("seg0000.mkv"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(30)
        with area.claim("seg0001.mkv"):
            order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
    assert not list(tmp_path.glob("abc.seg*"))


def test_waiting_for_a_segment_can_be_stopped(tmp_path: Path) -> None:
    cancel = Cancel()
    with (
        open_for_parts(tmp_path, "abc", cancel=Cancel()) as area,
        area.claim("seg0000.mkv"),
        open_for_parts(tmp_path, "abc", cancel=cancel, on_wait=cancel.set, pause=10) as other,
        pytest.raises(Canceled),
        other.claim("seg0000.mkv"),
    ):
        raise AssertionError("two at once")


def test_the_folder_of_parts_that_nobody_joins_becomes_stale(tmp_path: Path) -> None:
    with open_for_parts(tmp_path, "abc", cancel=Cancel()) as area:
        (area.folder / "seg0000.mkv").write_bytes(b"whole")
    prune(tmp_path, older_than=-1)
    assert not list(tmp_path.iterdir())


def test_parts_leave_no_empty_folder(tmp_path: Path) -> None:
    with open_for_parts(tmp_path, "abc", cancel=Cancel()) as area:
        assert area.folder.is_dir()
    assert not area.folder.exists()


def test_locks_that_killed_runs_left_go_with_the_work_and_held_ones_stay(tmp_path: Path) -> None:
    with open_area(tmp_path, "abc", cancel=Cancel()) as area, area.claim("seg0001.mkv"):
        (tmp_path / "abc.seg0000.mkv.lock").touch()
        area.remove()
        assert [path.name for path in tmp_path.glob("abc.seg*")] == ["abc.seg0001.mkv.lock"]
    assert not list(tmp_path.iterdir())
