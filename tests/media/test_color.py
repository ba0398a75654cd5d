import pytest

from mien.media.color import BT709, SMPTE170M, UNSPECIFIED, is_hdr, resolved
from mien.types import ColorTags


@pytest.mark.parametrize(("height", "matrix"), [(719, SMPTE170M), (720, BT709), (2160, BT709)])
@pytest.mark.parametrize("tag", [0, 2, 3, 8])
def test_untagged_streams_go_by_height(height: int, matrix: int, tag: int) -> None:
    assert resolved(ColorTags(matrix=tag), height).matrix == matrix


def test_untagged_hd_gets_all_tags_and_sd_stays_open() -> None:
    assert resolved(ColorTags(), 720) == ColorTags(BT709, BT709, BT709, False)
    assert resolved(ColorTags(), 480) == ColorTags(SMPTE170M, UNSPECIFIED, UNSPECIFIED, False)


def test_tags_are_kept() -> None:
    tags = ColorTags(9, 9, 14, True)
    assert resolved(tags, 240) == tags
    assert resolved(ColorTags(10, 9, 14), 1080).matrix == 9


def test_hdr() -> None:
    assert is_hdr(ColorTags(transfer=16))
    assert is_hdr(ColorTags(transfer=18))
    assert not is_hdr(ColorTags(transfer=14))
