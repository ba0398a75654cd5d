import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mien.errors import DiskFull, OutputError, OutputIsInput, OutputNotWritable
from mien.media.atomic import check_writable, refuse_input_as_output, replacing


def test_the_output_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
        assert temporary.name.startswith(".out.")
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def fail_after_half(path: Path, error: type[BaseException]) -> None:
    path.write_bytes(b"half")
    raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as temporary:
        fail_after_half(temporary, error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_a_new_file(tmp_path: Path) -> None:
    plain, replaced = tmp_path / "plain", tmp_path / "replaced"
    plain.touch()
    with replacing(replaced):
        pass
    assert replaced.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk(tmp_path: Path, number: int) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(DiskFull, match=r"out\.mp4"), replacing(path):
        raise OSError(number, "full")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_on_flushing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull), replacing(tmp_path / "out.mp4") as temporary:
        temporary.write_bytes(b"data")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputNotWritable, match="read-only"), replacing(tmp_path / "out.mp4"):
        pytest.fail("the block must not run")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputNotWritable, match="read-only"):
        check_writable(tmp_path / "out.mp4")


def test_a_missing_folder_a_file_as_folder_and_a_folder_as_file(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritable, match=r"folder .*none does not exist"):
        check_writable(tmp_path / "none" / "out.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(OutputNotWritable, match="is not a folder"):
        check_writable(tmp_path / "file" / "out.mp4")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputNotWritable, match="it is a folder"):
        check_writable(tmp_path / "folder")
    with pytest.raises(OutputNotWritable, match="it is a folder"), replacing(tmp_path / "folder"):
        pytest.fail("the block must not run")


def test_checking_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), replacing(tmp_path / "out.mp4"):
        raise ConnectionResetError(errno.ECONNRESET, "reset")
    with pytest.raises(OutputError, match="input/output"), replacing(tmp_path / "out.mp4"):
        raise OSError(errno.EIO, "bad block")


def test_the_output_may_not_be_an_input(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    path.touch()
    link, hard = tmp_path / "link.mp4", tmp_path / "hard.mp4"
    link.symlink_to(path)
    os.link(path, hard)
    for output in (path, link, hard, tmp_path / "." / "x" / ".." / "in.mp4"):
        with pytest.raises(OutputIsInput):
            refuse_input_as_output(output, [tmp_path / "other.mp4", path])
    refuse_input_as_output(tmp_path / "out.mp4", [path])


def test_a_dangling_link_to_itself_is_not_an_input(tmp_path: Path) -> None:
    refuse_input_as_output(tmp_path / "out.mp4", [tmp_path / "missing.mp4"])


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
def test_the_operating_systems_own_limit(tmp_path: Path) -> None:
    """A real refusal of the kernel in the middle of writing, through FFmpeg."""
    script = """
import resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from mien.errors import DiskFull
from mien.media.atomic import replacing
from mien.media.writer import VideoSpec, VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
random = np.random.default_rng(1)
try:
    with replacing(Path(sys.argv[1])) as temporary:
        spec = VideoSpec(320, 240, Fraction(1, 25), Fraction(25), quality=95)
        with VideoWriter(temporary, spec) as writer:
            for n in range(8):
                writer.write(random.integers(0, 255, (240, 320, 3)).astype(np.uint8), n)
except DiskFull as error:
    print(error)
"""
    path = tmp_path / "out.mkv"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, env=environment
    )
    assert "disk is full" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []
