"""Marks outputs as made by a program, in the words of the IPTC, and reads such marks back.

The same few tags go into a picture (as XMP: ``Iptc4xmpExt:DigitalSourceType``, ``xmp:CreatorTool``) and into the
container of a video. The vocabulary is http://cv.iptc.org/newscodes/digitalsourcetype/.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from mien._version import __version__

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOFTWARE = f"mien {__version__}"
OperationKind = Literal["generation", "synthetic", "enhancement"]

TRAINED = VOCABULARY + "trainedAlgorithmicMedia"
COMPOSITE = VOCABULARY + "compositeWithTrainedAlgorithmicMedia"
ENHANCED = VOCABULARY + "algorithmicallyEnhanced"
GENERATED = frozenset(
    VOCABULARY + name
    for name in (
        "trainedAlgorithmicMedia",
        "compositeWithTrainedAlgorithmicMedia",
        "algorithmicMedia",
        "compositeSynthetic",
        "virtualRecording",
    )
)
"""Types that say more than "enhanced": an input that has one keeps it through a mere enhancement."""
UNMARKED_FORMATS = frozenset({"bmp"})
"""Picture formats that have no place for marks."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_PROPERTIES = {
    "digital_source_type": "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType",
    "software": "{http://ns.adobe.com/xap/1.0/}CreatorTool",
    "operations": "{urn:mien:1.0/}operations",
}


@dataclass(frozen=True, slots=True)
class Marks:
    """What a file says about how it was made."""

    source_type: str
    """Address in the IPTC vocabulary; empty when the file does not say."""
    software: str = SOFTWARE
    operations: tuple[str, ...] = ()
    """What was done, first to last."""


def marks_for(kinds: Mapping[str, OperationKind], before: Marks | None = None) -> Marks:
    """The marks of an output of ``kinds`` (operation -> kind, in order), made from an input with marks ``before``."""
    source_type = source_type_of(kinds.values())
    earlier: tuple[str, ...] = ()
    if before is not None:
        earlier = before.operations
        if source_type == ENHANCED and before.source_type in GENERATED:
            source_type = before.source_type
    return Marks(source_type, SOFTWARE, (*earlier, *kinds))


def source_type_of(kinds: Collection[OperationKind]) -> str:
    """What operations of these kinds make of a picture, as an address in the IPTC vocabulary."""
    if "generation" in kinds:
        return TRAINED
    return COMPOSITE if "synthetic" in kinds else ENHANCED


def joined_marks(parts: Iterable[Marks | None]) -> Marks | None:
    """The marks of a whole, of those of its parts: what says most, and everything that was done to any of them."""
    found = [marks for marks in parts if marks is not None]
    if not found:
        return None
    types = [marks.source_type for marks in found if marks.source_type]
    strongest = next((type for type in types if type in GENERATED), types[0] if types else "")
    operations = dict.fromkeys(name for marks in found for name in marks.operations)
    return Marks(strongest, SOFTWARE, tuple(operations))


def tags_for(marks: Marks) -> dict[str, str]:
    """The marks as tags, for the container of a video or the XMP packet of a picture."""
    done = ", ".join(marks.operations)
    verb = "Made" if marks.source_type == TRAINED else "Edited"
    return {
        "comment": f"{verb} by {marks.software}: {done}. Digital source type: {marks.source_type}",
        "digital_source_type": marks.source_type,
        "software": marks.software,
        "operations": done,
    }


def marks_of_tags(tags: Mapping[str, str]) -> Marks | None:
    """The marks among the tags of a container; names are compared without regard to case."""
    plain = {name.lower(): value for name, value in tags.items()}
    if not plain.get("digital_source_type"):
        return None
    operations = tuple(part for part in plain.get("operations", "").split(", ") if part)
    return Marks(plain["digital_source_type"], plain.get("software", ""), operations)


def marks_of_xmp(packet: bytes) -> Marks | None:
    """The marks in an XMP packet, which anyone may have written; None if it says nothing about how a file was made.

    A packet with a document type (where entities hide) is not even looked at.
    """
    if b"<!DOCTYPE" in packet:
        return None
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError):
        return None
    found = marks_of_tags({name: _property(root, tag) for name, tag in _PROPERTIES.items()})
    if found is None or found.operations:
        return found
    return Marks(found.source_type, found.software, tuple(_texts(root, f"{{{_EVENT}}}parameters")))


def read_marks(path: Path) -> Marks | None:
    """The marks of a picture, video or sound file; None if it says nothing about how it was made.

    Raises what ``mien.media.probe`` raises for files that are no media.
    """
    from mien.media.metadata import read
    from mien.media.probe import probe
    from mien.media.sound_tags import wave_packet

    path = Path(path)
    info = probe(path)
    packet = None
    if info.kind == "image" or info.format == "gif":
        packet = read(path.read_bytes(), info.format).xmp
    elif info.format == "wav":
        packet = wave_packet(path)
    return marks_of_tags(info.tags) if packet is None else marks_of_xmp(packet)


def _property(root: ElementTree.Element, tag: str) -> str:
    """A simple property, which XMP allows as an attribute, as text, or as an rdf:resource."""
    for element in root.iter():
        if tag in element.attrib:
            return element.attrib[tag].strip()
        if element.tag == tag:
            return (element.attrib.get(f"{{{_RDF}}}resource") or element.text or "").strip()
    return ""


def _texts(root: ElementTree.Element, tag: str) -> Iterable[str]:
    for element in root.iter():
        if tag in element.attrib:
            yield element.attrib[tag]
        elif element.tag == tag and element.text:
            yield element.text
