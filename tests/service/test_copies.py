from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest

from mien.errors import StorageError, StorageMissing
from mien.service import copies as module
from mien.service.copies import LocalCopies
from mien.storage import Opened


def content(number: int, size: int = 1000) -> bytes:
    return bytes([number]) * size


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def opened(data: bytes) -> Opened:
    return Opened(len(data), "image/png", iter([data[:10], data[10:]]))


def test_what_is_not_the_content_is_not_handed_out(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path, 10_000)
    with (
        pytest.raises(StorageError, match="not what was stored"),
        copies.use(sha(b"right"), "png", lambda: opened(b"wrong")),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def missing() -> Opened:
        raise StorageMissing("There is none.")

    with pytest.raises(StorageMissing), LocalCopies(tmp_path, 10_000).use(sha(b"x"), "png", missing):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_copy_that_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path, 2500)
    paths = []
    for number in range(3):
        data = content(number)
        with copies.use(sha(data), "png", lambda data=data: opened(data)) as path:  # type: ignore[misc]
            paths.append(path)
        os.utime(path, (1000 + number, 0))
        if number == 1:
            os.utime(paths[0], (5000, 0))
    assert [path.exists() for path in paths] == [True, False, True]


def test_a_copy_in_use_stays_although_the_folder_is_full(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path, 1500)
    one, two = content(1), content(2)
    with copies.use(sha(one), "png", lambda: opened(one)) as path:
        with copies.use(sha(two), "", lambda: opened(two)) as other:
            assert path.read_bytes() == one
        copies.forget(sha(one))
        assert path.exists()
    copies.trim()
    assert [path.exists(), other.exists()].count(True) == 1


@pytest.mark.skipif(os.name == "nt", reason="locks of POSIX")
def test_another_process_sees_what_is_in_use(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mien.service.copies import LocalCopies\n"
        "LocalCopies(Path(sys.argv[1]), 0).trim()\n"
    )
    data = content(1)
    copies = LocalCopies(tmp_path, 5000)
    with copies.use(sha(data), "png", lambda: opened(data)) as path:
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
        assert path.exists()
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    assert not path.exists()


@pytest.mark.skipif(os.name == "nt", reason="open files cannot be removed on Windows")
def test_a_copy_that_goes_while_it_is_opened_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, lock = content(1), module._share
    made: list[object] = []

    def removed_first(file: IO[bytes]) -> None:
        if not made:
            path = tmp_path / f"{sha(data)}.png"
            # Whoever made it has its temporary name still.
            os.link(path, tmp_path / ".other.part")
            path.unlink()
        made.append(file)
        lock(file)

    monkeypatch.setattr(module, "_share", removed_first)
    with LocalCopies(tmp_path, 5000).use(sha(data), "png", lambda: opened(data)) as path:
        assert path.read_bytes() == data
    assert len(made) == 2


@pytest.mark.skipif(os.name == "nt", reason="open files cannot be removed on Windows")
def test_who_comes_late_to_remove_a_copy_leaves_the_one_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, claim = content(1), module._claim
    copies = LocalCopies(tmp_path, 5000)
    path = tmp_path / f"{sha(data)}.png"
    path.write_bytes(b"old")

    def replaced_first(file: IO[bytes], at: Path) -> bool:
        path.unlink()
        path.write_bytes(data)
        return claim(file, at)

    monkeypatch.setattr(module, "_claim", replaced_first)
    copies.forget(sha(data))
    assert path.read_bytes() == data


def test_many_threads_share_one_copy_under_pressure(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path, 1200)
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for number in range(30):
                data = content((first + number) % 4)
                with copies.use(sha(data), "png", lambda data=data: opened(data)) as path:  # type: ignore[misc]
                    assert path.read_bytes() == data
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_a_crash_left_goes_after_a_day(tmp_path: Path) -> None:
    (tmp_path / ".old.part").write_bytes(b"x")
    (tmp_path / ".new.part").write_bytes(b"x")
    (tmp_path / ".whole.part").write_bytes(b"x")
    os.utime(tmp_path / ".old.part", (1, 1))
    os.utime(tmp_path / ".whole.part", (time.time(), 0))  # about to get its name
    LocalCopies(tmp_path, 0).trim()
    assert {path.name for path in tmp_path.iterdir()} == {".new.part", ".whole.part"}
