"""Colour descriptions: what an untagged stream means, and the constants that FFmpeg uses for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mien.types import ColorTags

# Numbers of ITU-T H.273, as FFmpeg uses them.
RGB: Final = 0
BT709: Final = 1
UNSPECIFIED: Final = 2
FCC: Final = 4
BT470BG: Final = 5
SMPTE170M: Final = 6
SMPTE240M: Final = 7
BT2020: Final = 9
PQ: Final = 16
HLG: Final = 18

HD_HEIGHT: Final = 720
"""Untagged pictures of this height and above are BT.709, those below BT.601: what players assume."""

_KNOWN_MATRICES: Final = frozenset({BT709, FCC, BT470BG, SMPTE170M, SMPTE240M, BT2020})


def is_hdr(tags: ColorTags) -> bool:
    """Whether the transfer curve is PQ or HLG."""
    return tags.transfer in (PQ, HLG)


def resolved(tags: ColorTags, height: int) -> ColorTags:
    """The tags with the matrix and range that an unspecified stream of this height has.

    Streams that hold RGB, or a matrix that the scaler does not know, count as unspecified. Of HD
    streams without any tag, primaries and transfer are BT.709 too; of SD streams they stay open, since
    PAL and NTSC differ.
    """
    matrix = tags.matrix
    if matrix == 10:  # BT.2020 constant luminance: the scaler treats it as the common, non-constant one.
        matrix = BT2020
    if matrix not in _KNOWN_MATRICES:
        matrix = BT709 if height >= HD_HEIGHT else SMPTE170M
    full_range = False if tags.full_range is None else tags.full_range
    primaries, transfer = _specified(tags.primaries), _specified(tags.transfer)
    if matrix == BT709 and tags.matrix not in _KNOWN_MATRICES:
        primaries = BT709 if primaries == UNSPECIFIED else primaries
        transfer = BT709 if transfer == UNSPECIFIED else transfer
    return replace(tags, matrix=matrix, primaries=primaries, transfer=transfer, full_range=full_range)


def _specified(number: int) -> int:
    return UNSPECIFIED if number in (0, 3) else number
