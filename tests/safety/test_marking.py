from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien._version import __version__
from mien.errors import InputMissing
from mien.safety import xmp
from mien.safety.marking import (
    COMPOSITE,
    ENHANCED,
    SOFTWARE,
    VOCABULARY,
    Marks,
    container_tags,
    mark_picture,
    marks_for,
    marks_of_picture,
    marks_of_tags,
    read_marks,
    xmp_packet,
)


def picture(ending: str = ".png") -> bytes:
    return bytes(cv2.imencode(ending, np.zeros((8, 8, 3), np.uint8))[1].tobytes())


def test_a_synthetic_operation_makes_a_composite() -> None:
    marks = marks_for({"face_swapper": "synthetic", "face_enhancer": "enhancement"})
    assert marks == Marks(COMPOSITE, f"mien {__version__}", ("face_swapper", "face_enhancer"))


def test_mere_enhancement_is_called_so() -> None:
    assert marks_for({"face_enhancer": "enhancement"}).source_type == ENHANCED


def test_enhancement_does_not_hide_that_the_input_was_generated() -> None:
    before = Marks(VOCABULARY + "trainedAlgorithmicMedia", "other program", ("generated",))
    after = marks_for({"face_enhancer": "enhancement"}, before)
    assert after.source_type == before.source_type
    assert after.operations == ("generated", "face_enhancer")


def test_a_claim_of_a_photograph_does_not_survive() -> None:
    before = Marks(VOCABULARY + "digitalCapture", "camera")
    assert marks_for({"face_swapper": "synthetic"}, before).source_type == COMPOSITE
    assert marks_for({"frame_enhancer": "enhancement"}, before).source_type == ENHANCED


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tiff"])
def test_marks_of_pictures_come_back(ending: str, tmp_path: Path) -> None:
    marks = Marks(COMPOSITE, 'a "tool" & <more>', ("face_swapper", "a, b"))
    data = mark_picture(picture(ending), marks)
    assert data is not None
    assert marks_of_picture(data) == marks
    path = tmp_path / f"out{ending}"
    path.write_bytes(data)
    assert read_marks(path) == marks


def test_a_bitmap_has_no_place_for_marks() -> None:
    assert mark_picture(picture(".bmp"), Marks(COMPOSITE)) is None


def test_tags_of_a_container_come_back_in_any_case() -> None:
    marks = Marks(COMPOSITE, SOFTWARE, ("face_swapper", "face_editor"))
    tags = {name.upper(): value for name, value in container_tags(marks).items()}
    assert marks_of_tags(tags) == marks
    assert "compositeWithTrainedAlgorithmicMedia" in tags["COMMENT"]
    assert marks_of_tags({"comment": "holiday"}) is None


def test_other_writings_of_the_same_property_are_understood() -> None:
    namespace = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    bodies = (
        f'<i:DigitalSourceType xmlns:i="{namespace}"> {COMPOSITE} </i:DigitalSourceType>',
        f'<i:DigitalSourceType xmlns:i="{namespace}" xmlns:r="{rdf}" r:resource="{COMPOSITE}"/>',
    )
    for body in bodies:
        data = xmp.embed(picture(), f"<x>{body}</x>".encode())
        assert data is not None
        assert marks_of_picture(data) == Marks(COMPOSITE, "", ())


@pytest.mark.parametrize(
    "packet",
    [b"", b"<x>", b"no xml", b"<x/>", b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', b"\xff\xfe<\x00x\x00"],
)
def test_a_packet_that_says_nothing_or_is_hostile_is_no_mark(packet: bytes) -> None:
    data = xmp.embed(picture(), packet)
    assert data is not None
    assert marks_of_picture(data) is None


def test_the_packet_is_valid_utf8_with_the_byte_order_mark_xmp_asks_for() -> None:
    packet = xmp_packet(Marks(COMPOSITE)).decode()
    assert packet.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert packet.endswith('<?xpacket end="w"?>')


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"nothing\.png"):
        read_marks(tmp_path / "nothing.png")
