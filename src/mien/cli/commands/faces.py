"""``mien faces``: which faces a picture has, as a table, as JSON, or drawn into a copy."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.command import Command, chosen, one, positionals, text
from mien.cli.program import Program
from mien.cli.running import open_engine
from mien.cli.terminal import Terminal

if TYPE_CHECKING:
    from mien.types import Face, Frame, Points

USAGE = "mien faces IMAGE"


def faces_command(program: Program, terminal: Terminal) -> Command:
    """Make the command."""

    def run(values: Mapping[str, Any]) -> None:
        path = Path(one(chosen(values, "files"), "picture", USAGE))
        with open_engine(program, terminal, {}) as (engine, _):
            image, found = engine.detect(path)
        faces = by_size(found)
        if values["draw"] is not None:
            draw(image, faces, path, Path(values["draw"]))
        terminal.result(as_data(path, image, faces), lambda: table(terminal, faces))

    return Command(
        "faces",
        "Find the faces of a picture.",
        _parameters,
        run,
        terminal,
        details="Faces are numbered from the largest to the smallest, as --reference-face-position does.",
        usage="IMAGE",
        panel="Work on faces",
    )


def _parameters() -> list[inspect.Parameter]:
    help = "Write a copy of the picture with numbered boxes and landmarks."
    return [positionals("files"), text("draw", "--draw", help=help, metavar="FILE")]


def by_size(faces: Sequence[Face]) -> tuple[Face, ...]:
    """Faces from the largest box to the smallest."""
    return tuple(sorted(faces, key=lambda face: -face.box.area))


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
    """Write a copy of the picture with a numbered box and the landmarks of each face."""
    import cv2

    from mien.media import atomic
    from mien.media.images import Picture, write_image

    atomic.refuse_input_as_output(output, [source])
    canvas = image.copy()
    thick = max(1, round(max(canvas.shape[:2]) / 500))
    for number, face in enumerate(faces):
        x1, y1, x2, y2 = (round(edge) for edge in face.box.as_tuple())
        cv2.rectangle(canvas, (x1, y1), (x2, y2), (60, 200, 60), thick)
        for x, y in face.landmarks.sixty_eight[:, :2]:
            cv2.circle(canvas, (round(float(x)), round(float(y))), thick, (60, 60, 230), -1, cv2.LINE_AA)
        size = max(0.5, (x2 - x1) / 200)
        at = (x1 + 3 * thick, y1 + round(24 * size) + 2 * thick)
        cv2.putText(
            canvas, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, size, (60, 200, 60), 2 * thick, cv2.LINE_AA
        )
    write_image(output, Picture(pixels=canvas, format=output.suffix.lstrip(".").lower() or "png"))
