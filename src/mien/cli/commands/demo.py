"""``mien demo``: shows on two public-domain portraits what the program does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.command import Command, text
from mien.cli.commands.faces import in_order
from mien.cli.program import Program
from mien.cli.progress import ProgressBars
from mien.cli.running import Files, open_engine, run_step
from mien.cli.terminal import Terminal
from mien.errors import NoFace, OutputNotWritable

if TYPE_CHECKING:
    from mien.pipeline.engine import Engine

PORTRAITS = {"astronaut": "sample_astronaut", "hopper": "sample_hopper"}
"""Eileen Collins (NASA) and Grace Hopper (US Navy), both in the public domain."""
FOLDER = "mien-demo"
OPTIONS = {"face_swapper_model": "mesh"}
SHOWN = (0.0, 0.35, 0.65, 1.0)
"""Places in the clip, as shares of its length, whose frames are on the contact sheet."""


def demo_command(program: Program, terminal: Terminal) -> Command:
    """Make the command."""

    def run(values: Mapping[str, Any]) -> None:
        folder = Path(values["folder"] or FOLDER)
        begin = time.monotonic()
        with open_engine(program, terminal, {}) as (engine, bars):
            files = Demo(engine, bars, new_folder(folder)).run()
        seconds = round(time.monotonic() - begin, 1)
        data = {"folder": str(folder), "files": [str(path) for path in files], "seconds": seconds}
        terminal.result(data, lambda: "\n".join(str(path) for path in files))

    help = f"Folder for the results; {FOLDER} in the current folder when unset."
    return Command(
        "demo",
        "Swap the faces of two public-domain portraits and of a short video, to see what comes out.",
        lambda: [text("folder", "-o", "--output-path", help=help, metavar="FOLDER")],
        run,
        terminal,
        panel="Work on faces",
    )


def new_folder(folder: Path) -> Path:
    """Make the folder if it is not there; raises OutputNotWritable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(f"The folder {folder} cannot be made: {error.strerror}.") from None
    return folder


class Demo:
    """One demonstration: portraits swapped both ways, a clip, the clip swapped, and a sheet that shows all."""

    def __init__(self, engine: Engine, bars: ProgressBars, folder: Path) -> None:
        self._engine = engine
        self._bars = bars
        self._folder = folder

    def run(self) -> list[Path]:
        """Make everything; returns the files in the order in which they are best looked at."""
        self._engine.models.fetch(PORTRAITS.values())
        originals = {name: self._engine.models.path(id) for name, id in PORTRAITS.items()}
        swapped = [self._swap("astronaut", "hopper", originals), self._swap("hopper", "astronaut", originals)]
        clip = self._clip(originals["astronaut"])
        moving = self._folder / "clip-swapped.mp4"
        self._run(originals["hopper"], clip, moving)
        sheet = self._sheet(originals, swapped, clip, moving)
        return [sheet, *swapped, clip, moving]

    def _swap(self, source: str, target: str, originals: Mapping[str, Path]) -> Path:
        output = self._folder / f"{source}-on-{target}.jpg"
        self._run(originals[source], originals[target], output)
        return output

    def _run(self, source: Path, target: Path, output: Path) -> None:
        run_step(self._engine, self._bars, Files((source,), target, output), ["face_swapper"], OPTIONS)

    def _clip(self, portrait: Path) -> Path:
        from mien.cli.showcase import make_clip

        picture, faces = self._engine.detect(portrait)
        if not faces:
            raise NoFace(
                f"No face was found in {portrait}: the file or the models are damaged (mien models verify)."
            )
        output = self._folder / "clip.mp4"
        make_clip(picture, in_order(faces, {})[0].box, output)
        return output

    def _sheet(self, originals: Mapping[str, Path], swapped: list[Path], clip: Path, moving: Path) -> Path:
        from mien.cli.showcase import contact_sheet, frames_at
        from mien.media.images import Picture, read_image, write_image
        from mien.safety.marking import marks_for, tags_for

        stills = [*originals.items(), *((path.stem.replace("-", " "), path) for path in swapped)]
        rows = [[(label, read_image(path).pixels) for label, path in stills]]
        for label, path in (("clip", clip), ("hopper on clip", moving)):
            frames = frames_at(path, SHOWN)
            rows.append(
                [(f"{label}, {share:.0%}", frame) for share, frame in zip(SHOWN, frames, strict=True)]
            )
        output = self._folder / "contact-sheet.png"
        tags = tags_for(marks_for({"face_swapper": "synthetic"}))
        write_image(output, Picture(pixels=contact_sheet(rows)), tags=tags)
        return output
