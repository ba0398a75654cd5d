from pathlib import Path

import pytest

from mien.errors import OptionError
from mien.media.writable import CONTAINERS, OUTPUT_FORMATS, container_of, output_format


def test_videos_are_known_by_their_ending() -> None:
    assert container_of(Path("A.MP4")) == "mp4"
    assert {container_of(Path(f"a.{ending}")) for ending in CONTAINERS} == set(CONTAINERS)
    with pytest.raises(OptionError, match=r"\.mp4, \.m4v, \.mov, \.mkv, \.webm, \.avi"):
        container_of(Path("a.xyz"))


def test_pictures_are_known_by_their_ending() -> None:
    assert output_format(Path("A.JPG")) == "jpeg"
    assert {output_format(Path(f"a.{ending}")) for ending in OUTPUT_FORMATS} == set(OUTPUT_FORMATS.values())
    with pytest.raises(OptionError, match=r"a\.gif is not a name for a picture; use one of \.jpg"):
        output_format(Path("a.gif"))
