from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mien.media.atomic import check_writable, replacing
from mien.media.stale import hidden_name, remove_stale

WRITING = """
import sys, time
from pathlib import Path
from mien.media.atomic import replacing

with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    temporary.with_name(f"{temporary.name}.signed").write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_what_a_killed_run_left_is_removed_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with subprocess.Popen([sys.executable, "-c", WRITING, str(output)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        check_writable(output)
        assert len(list(tmp_path.iterdir())) == 2
        process.kill()
    check_writable(output)
    assert list(tmp_path.iterdir()) == []


def test_this_process_may_write_the_same_output_twice(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with replacing(output) as temporary:
        temporary.write_bytes(b"first")
        remove_stale(output)
        assert temporary.exists()
    assert output.read_bytes() == b"first"


def test_other_files_stay(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    others = [
        tmp_path / name
        for name in (
            ".out.part.mp4",
            ".out.mp4",
            ".other.1-0123abcd.part.mp4",
            ".out.1-0123abcd.part.mkv",
            "out.mp4",
        )
    ]
    for path in others:
        path.write_bytes(b"mine")
    hidden_name(output).write_bytes(b"half")
    remove_stale(output)
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    remove_stale(tmp_path / "nowhere" / "out.mp4")
