"""Stand-ins for pip and uv: real programs that hand out a wheel made by the test."""

from __future__ import annotations

import hashlib
import json
import stat
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from mien.models.catalogue import Catalogue, Wheel, parse

MEMBERS = {"thing/a.tflite": b"model a" * 100, "thing/b.tflite": b"model b" * 200}
LICENCE = b"You may do what you like."

_SCRIPT = """
import json, os, pathlib, shutil, sys
here = pathlib.Path({here!r})
with open(here / "calls.jsonl", "a") as log:
    print(json.dumps({{"argv": sys.argv[1:], "cwd": os.getcwd(),
        "virtualenv": os.environ.get("PIP_REQUIRE_VIRTUALENV"), "tmp": os.environ["TMPDIR"],
        "requirements": pathlib.Path(sys.argv[sys.argv.index("-r") + 1]).read_text()}}), file=log)
answer = json.loads((here / "answer.json").read_text())
sys.stderr.write(answer["stderr"])
if answer["code"] == 0:
    {deliver}
sys.exit(answer["code"])
"""
_PIP = """target = pathlib.Path(sys.argv[sys.argv.index("-d") + 1])
    target.mkdir(exist_ok=True)
    for wheel in answer["wheels"]:
        shutil.copy(here / wheel, target)"""
_UV = """import zipfile
    target = pathlib.Path(sys.argv[sys.argv.index("--target") + 1])
    for wheel in answer["wheels"]:
        zipfile.ZipFile(here / wheel).extractall(target)"""


@dataclass
class Tool:
    """One installed stand-in."""

    folder: Path

    def answer(self, code: int = 0, stderr: str = "", wheels: tuple[str, ...] = ("thing.whl",)) -> None:
        text = json.dumps({"code": code, "stderr": stderr, "wheels": wheels})
        (self.folder / "answer.json").write_text(text)

    @property
    def calls(self) -> list[dict[str, str]]:
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def make_wheel(folder: Path, members: dict[str, bytes]) -> Wheel:
    path = folder / "thing.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "thing-1.dist-info/LICENSE": LICENCE}.items():
            archive.writestr(name, content)
    content = path.read_bytes()
    return Wheel(
        id="thing",
        project="thing",
        version="1",
        file="thing.whl",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        python="3.12",
        abi="cp312",
        platform="manylinux_2_28_x86_64",
        uv_platform="x86_64-manylinux_2_28",
        licence_member="thing-1.dist-info/LICENSE",
    )


def install_pip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Make ``python -m pip`` of child processes the stand-in."""
    package = folder / "site" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(_SCRIPT.format(here=str(folder), deliver=_PIP))
    monkeypatch.setenv("PYTHONPATH", str(folder / "site"))
    tool = Tool(folder)
    tool.answer()
    return tool


def install_uv(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Make ``uv`` on the PATH the stand-in."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    program = programs / "uv"
    program.write_text(f"#!{sys.executable}\n" + _SCRIPT.format(here=str(folder), deliver=_UV))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(programs))
    tool = Tool(folder)
    tool.answer()
    return tool


def catalogue_of(wheel: Wheel, members: dict[str, bytes], urls: dict[str, str] | None = None) -> Catalogue:
    """A catalogue with one model for each member, called by its stem."""
    fields = "\n".join(f"{name} = {json.dumps(getattr(wheel, name))}" for name in wheel.__slots__)
    text = f"[[wheel]]\n{fields}\n"
    for member, content in members.items():
        name = member.rsplit("/", 1)[-1]
        text += f"""
[[model]]
id = "{name.split(".")[0]}"
family = "f"
licence = "MIT"
vendor = "v"
year = 2020
commercial_use = true
[[model.file]]
name = "{name}"
size = {len(content)}
sha256 = "{hashlib.sha256(content).hexdigest()}"
wheel = "thing"
member = "{member}"
urls = {json.dumps([urls[name]] if urls and name in urls else [])}
"""
    return Catalogue(parse(text, "test"))
