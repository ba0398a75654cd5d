"""``mien faces``: which faces a picture has, as a table, as JSON, or drawn into a copy."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli import flags
from mien.cli.command import Command, chosen, one, positionals, text
from mien.cli.program import Program, items_of
from mien.cli.running import open_engine
from mien.cli.terminal import Terminal
from mien.errors import OptionError
from mien.options import Options

if TYPE_CHECKING:
    from mien.types import Face, Frame, Points

USAGE = "mien faces IMAGE"
SECTIONS = ("face_detector", "face_landmarker", "face_selector")
YELLOW = (0, 220, 255)


def faces_command(program: Program, terminal: Terminal) -> Command:
    """Make the command."""

    def parameters() -> list[inspect.Parameter]:
        drawn = "Write a copy of the picture with numbered boxes and landmarks."
        number = "Which frame of a video; the first is 0."
        found = [positionals("files"), text("draw", "--draw", help=drawn, metavar="FILE")]
        found.append(text("frame", "--frame", help=number, metavar="INT"))
        return found + [item for group in groups(program) for item in flags.group_parameters(group)]

    def run(values: Mapping[str, Any]) -> None:
        path = Path(one(chosen(values, "files"), "picture", USAGE))
        options = flags.read(items_of(groups(program)), values)
        with open_engine(program, terminal, {}) as (engine, _):
            image, found = engine.detect(path, options, frame=frame_number(values["frame"]))
        faces = in_order(found, options)
        if values["draw"] is not None:
            draw(image, faces, path, Path(values["draw"]))
        terminal.result(as_data(path, image, faces), lambda: table(terminal, faces))

    return Command(
        "faces",
        "Find the faces of a picture, or of one frame of a video.",
        parameters,
        run,
        terminal,
        details="Faces are numbered in the selector's order, as --reference-face-position counts them.",
        usage="IMAGE",
        panel="Work on faces",
    )


def groups(program: Program) -> tuple[type[Options], ...]:
    """The option groups that say how faces are found and counted."""
    return tuple(group for group in program.step_groups() if group.section in SECTIONS)


def frame_number(word: str | None) -> int:
    """The value of ``--frame``; raises OptionError."""
    if word is None:
        return 0
    if not word.isdecimal():
        raise OptionError(f"--frame cannot be {word!r}: give a whole number, counted from 0.")
    return int(word)


def in_order(faces: Sequence[Face], options: Mapping[str, Any]) -> tuple[Face, ...]:
    """Faces in the order of the selector."""
    from mien.faces.select import sort_faces

    return sort_faces(faces, options.get("face_selector_order", "large-small"))


def as_data(path: Path, image: Frame, faces: Sequence[Face]) -> dict[str, Any]:
    """The faces as JSON has them; points are (x, y) in pixels of the upright picture."""
    height, width = image.shape[:2]
    return {
        "path": str(path),
        "width": width,
        "height": height,
        "faces": [_face(number, face) for number, face in enumerate(faces)],
    }


def _face(number: int, face: Face) -> dict[str, Any]:
    pose = face.pose
    marks = face.landmarks
    return {
        "position": number,
        "box": [round(float(edge), 2) for edge in face.box.as_tuple()],
        "score": round(float(face.score), 4),
        "landmark_score": round(float(face.landmark_score), 4),
        "angle": face.angle,
        "pose": None if pose is None else {"yaw": pose.yaw, "pitch": pose.pitch, "roll": pose.roll},
        "landmarks_5": _points(marks.five_of_68),
        "landmarks_68": _points(marks.sixty_eight),
    }


def _points(points: Points) -> list[list[float]]:
    return [[round(float(value), 2) for value in point] for point in points]


def table(terminal: Terminal, faces: Sequence[Face]) -> str | None:
    """Draw the faces as a table, or say that there are none."""
    if not faces:
        return "No face was found."
    rows = []
    for number, face in enumerate(faces):
        box = face.box
        place = " ".join(f"{edge:.0f}" for edge in box.as_tuple())
        angles = (
            "" if face.pose is None else f"{face.pose.yaw:+.0f} {face.pose.pitch:+.0f} {face.pose.roll:+.0f}"
        )
        rows.append((number, place, f"{box.width:.0f}x{box.height:.0f}", f"{face.score:.2f}", angles))
    terminal.table(("position", "box x1 y1 x2 y2", "size", "score", "yaw pitch roll"), rows)
    return None


def draw(image: Frame, faces: Sequence[Face], source: Path, output: Path) -> None:
    """Write a copy of the picture with the box, the landmarks and the number of each face."""
    import cv2

    from mien.faces.options import MaskOptions
    from mien.media.atomic import refuse_input_as_output
    from mien.media.images import Picture, write_image
    from mien.processors.face_drawing import Drawing, outline_masker

    refuse_input_as_output(output, [source])
    canvas = image.copy()
    drawing = Drawing(("bounding-box", "face-landmark-68"), outline_masker(MaskOptions()))
    for number, face in enumerate(faces):
        drawing.draw(canvas, face)
        scale = max(0.5, face.box.width / 200)
        corner = (round(face.box.x1 + 6 * scale), round(face.box.y1 + 28 * scale))
        cv2.putText(
            canvas,
            str(number),
            corner,
            cv2.FONT_HERSHEY_SIMPLEX,
            scale,
            YELLOW,
            round(2 * scale),
            cv2.LINE_AA,
        )
    write_image(output, Picture(pixels=canvas))
