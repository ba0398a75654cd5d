"""Binary messages of the websocket, taken apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_TYPES: Final = {1: "image/jpeg", 2: "image/png"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A preview; ``ids`` is empty in the layout that carries none."""

    data: bytes
    content_type: str
    ids: Mapping[str, Any]


def picture(frame: bytes) -> Picture | None:
    """The preview in a frame; None for other kinds, unknown ones and damaged ones."""
    kind = int.from_bytes(frame[:4], "big")
    if kind == 1 and len(frame) > 8:
        content_type = _TYPES.get(int.from_bytes(frame[4:8], "big"))
        return Picture(frame[8:], content_type, {}) if content_type else None
    if kind == 4:
        end = 8 + int.from_bytes(frame[4:8], "big")
        try:
            ids = json.loads(frame[8:end])
        except ValueError:
            return None
        if isinstance(ids, dict) and len(frame) > end:
            return Picture(frame[end:], str(ids.get("image_type", "image/jpeg")), ids)
    return None
