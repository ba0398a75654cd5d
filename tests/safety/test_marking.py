from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien._version import __version__
from mien.errors import InputMissing
from mien.media.images import Picture, write_image
from mien.safety.marking import (
    COMPOSITE,
    ENHANCED,
    SOFTWARE,
    VOCABULARY,
    Marks,
    joined_marks,
    marks_for,
    marks_of_tags,
    marks_of_xmp,
    read_marks,
    tags_for,
)

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


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
    marks = Marks(COMPOSITE, 'a "tool" & <more>', ("face_swapper", "face_editor"))
    path = tmp_path / f"out{ending}"
    write_image(path, Picture(np.zeros((8, 8, 3), np.uint8)), tags=tags_for(marks))
    assert read_marks(path) == marks


@pytest.mark.parametrize("ending", [".jpg", ".bmp"])
def test_a_picture_without_marks_has_none(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"plain{ending}"
    write_image(path, Picture(np.zeros((8, 8, 3), np.uint8)))
    assert read_marks(path) is None


def test_tags_of_a_container_come_back_in_any_case() -> None:
    marks = Marks(COMPOSITE, SOFTWARE, ("face_swapper", "face_editor"))
    tags = {name.upper(): value for name, value in tags_for(marks).items()}
    assert marks_of_tags(tags) == marks
    assert "compositeWithTrainedAlgorithmicMedia" in tags["COMMENT"]
    assert marks_of_tags({"comment": "holiday"}) is None


@pytest.mark.parametrize(
    "body",
    [
        f'<i:DigitalSourceType xmlns:i="{IPTC}"> {COMPOSITE} </i:DigitalSourceType>',
        f'<i:DigitalSourceType xmlns:i="{IPTC}" xmlns:r="{RDF}" r:resource="{COMPOSITE}"/>',
    ],
)
def test_other_writings_of_the_same_property_are_understood(body: str) -> None:
    assert marks_of_xmp(f"<x>{body}</x>".encode()) == Marks(COMPOSITE, "", ())


def test_the_history_of_other_programs_is_understood() -> None:
    event = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
    packet = (
        f'<x xmlns:i="{IPTC}" xmlns:e="{event}" i:DigitalSourceType="{COMPOSITE}">'
        '<li e:parameters="cropped"/><li><e:parameters>sharpened</e:parameters></li></x>'
    )
    assert marks_of_xmp(packet.encode()) == Marks(COMPOSITE, "", ("cropped", "sharpened"))


@pytest.mark.parametrize(
    "packet",
    [b"", b"<x>", b"no xml", b"<x/>", b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', b"\xff\xfe<\x00x\x00"],
)
def test_a_packet_that_says_nothing_or_is_hostile_is_no_mark(packet: bytes) -> None:
    assert marks_of_xmp(packet) is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"nothing\.png"):
        read_marks(tmp_path / "nothing.png")


def test_a_whole_is_marked_by_what_says_most() -> None:
    enhanced = Marks(ENHANCED, "mien 0", ("face_enhancer",))
    swapped = Marks(COMPOSITE, "mien 0", ("face_swapper", "face_enhancer"))
    assert joined_marks([None, enhanced, swapped]) == Marks(
        COMPOSITE, operations=("face_enhancer", "face_swapper")
    )
    assert joined_marks([enhanced, None]) == Marks(ENHANCED, operations=("face_enhancer",))
    assert joined_marks([None]) is None
