"""Faces whose costly fields are computed on first reading, and are then plain fields.

A face is a frozen, slotted dataclass. A pending one leaves some slots empty; Python asks ``__getattr__`` for
an empty slot, which fills it. To the rest of mien a pending face is a face: ``isinstance``,
``dataclasses.replace`` and ``pickle`` work, the last two by reading (and so computing) every field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mien.types import Box, Face, Landmarks, Points, Pose

Fill: TypeAlias = Callable[[str], Mapping[str, Any]]
"""Computes the field of that name and what else comes with it; may be called from several threads."""


class PendingLandmarks(Landmarks):
    """Landmarks of which only the detector's five are there from the start."""

    __slots__ = ("_fill",)
    _fill: Fill

    @classmethod
    def of(cls, five: Points, fill: Fill) -> PendingLandmarks:
        """Landmarks that ask ``fill`` for what is not there yet."""
        marks = cls.__new__(cls)
        _set(marks, {"five": five, "mesh": None, "_fill": fill})
        return marks

    def __getattr__(self, name: str) -> Any:
        return _fill(self, name, Landmarks)

    def __repr__(self) -> str:
        return _known(self, Landmarks)


class PendingFace(Face):
    """A face whose landmark score and angle are not there yet."""

    __slots__ = ("_fill",)
    _fill: Fill

    @classmethod
    def of(
        cls,
        box: Box,
        score: float,
        landmarks: Landmarks,
        fill: Fill,
        *,
        pose: Pose | None = None,
        track: int | None = None,
        observed: bool = True,
    ) -> PendingFace:
        """A face that asks ``fill`` for what is not there yet."""
        face = cls.__new__(cls)
        known = {"box": box, "score": score, "landmarks": landmarks, "_fill": fill}
        _set(face, {**known, "pose": pose, "track": track, "observed": observed})
        return face

    def __getattr__(self, name: str) -> Any:
        return _fill(self, name, Face)

    def __repr__(self) -> str:
        return _known(self, Face)


def _set(item: object, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        object.__setattr__(item, name, value)


def _fill(item: PendingLandmarks | PendingFace, name: str, base: type[Landmarks | Face]) -> Any:
    """Fill an empty slot; once none is left, let go of what filled them (it holds the picture)."""
    if name not in base.__dataclass_fields__:
        raise AttributeError(f"{type(item).__name__} has no {name}")
    _set(item, object.__getattribute__(item, "_fill")(name))
    if all(_filled(item, field) for field in base.__dataclass_fields__):
        object.__setattr__(item, "_fill", _complete)
    return object.__getattribute__(item, name)


def _known(item: PendingLandmarks | PendingFace, base: type[Landmarks | Face]) -> str:
    """What is there already, in words: looking at a face in a debugger must not run a network."""
    names = [name for name in base.__dataclass_fields__ if _filled(item, name)]
    return f"{type(item).__name__}({', '.join(f'{name}={getattr(item, name)!r}' for name in names)}, …)"


def _filled(item: object, name: str) -> bool:
    try:
        object.__getattribute__(item, name)
    except AttributeError:
        return False
    return True


def _complete(name: str) -> Mapping[str, Any]:
    raise AttributeError(name)
