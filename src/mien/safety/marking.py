"""Marks outputs as made by a program, in the words of the IPTC, and reads such marks back.

Pictures carry an XMP packet with ``Iptc4xmpExt:DigitalSourceType``, the software, and one history event for each
operation; videos carry the same as tags of the container. BMP and AVIF files have no place that is written here.
The vocabulary is http://cv.iptc.org/newscodes/digitalsourcetype/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from mien._version import __version__
from mien.errors import InputMissing
from mien.safety import xmp

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOFTWARE = f"mien {__version__}"
OperationKind = Literal["synthetic", "enhancement"]

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

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP = "http://ns.adobe.com/xap/1.0/"
_MM = "http://ns.adobe.com/xap/1.0/mm/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"


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
    source_type = COMPOSITE if "synthetic" in kinds.values() else ENHANCED
    earlier: tuple[str, ...] = ()
    if before is not None:
        earlier = before.operations
        if source_type == ENHANCED and before.source_type in GENERATED:
            source_type = before.source_type
    return Marks(source_type, SOFTWARE, (*earlier, *kinds))


def xmp_packet(marks: Marks) -> bytes:
    """The marks as an XMP packet, UTF-8."""
    events = "".join(
        f'<rdf:li rdf:parseType="Resource"><stEvt:action>edited</stEvt:action>'
        f"<stEvt:softwareAgent>{escape(marks.software)}</stEvt:softwareAgent>"
        f"<stEvt:parameters>{escape(operation)}</stEvt:parameters></rdf:li>"
        for operation in marks.operations
    )
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about=""'
        f' xmlns:xmp="{_XMP}" xmlns:xmpMM="{_MM}" xmlns:stEvt="{_EVENT}" xmlns:Iptc4xmpExt="{_IPTC}"'
        f" xmp:CreatorTool={quoteattr(marks.software)}"
        f" Iptc4xmpExt:DigitalSourceType={quoteattr(marks.source_type)}>"
        f"<xmpMM:History><rdf:Seq>{events}</rdf:Seq></xmpMM:History>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def mark_picture(data: bytes, marks: Marks) -> bytes | None:
    """An encoded picture with the marks in it; None if its format has no place for them."""
    return xmp.embed(data, xmp_packet(marks))


def container_tags(marks: Marks) -> dict[str, str]:
    """The marks as tags for the container of a video."""
    done = ", ".join(marks.operations)
    return {
        "comment": f"Edited by {marks.software}: {done}. Digital source type: {marks.source_type}",
        "digital_source_type": marks.source_type,
        "software": marks.software,
        "operations": done,
    }


def marks_of_tags(tags: Mapping[str, str]) -> Marks | None:
    """The marks in the tags of a container; names are compared without regard to case."""
    plain = {name.lower(): value for name, value in tags.items()}
    if "digital_source_type" not in plain:
        return None
    operations = tuple(part for part in plain.get("operations", "").split(", ") if part)
    return Marks(plain["digital_source_type"], plain.get("software", ""), operations)


def marks_of_picture(data: bytes) -> Marks | None:
    """The marks in an encoded picture; None if it says nothing about how it was made."""
    packet = xmp.extract(data)
    return None if packet is None else _parse(packet)


def read_marks(path: Path) -> Marks | None:
    """The marks of a picture or video file; None if it says nothing about how it was made.

    Raises InputMissing, and what ``mien.media.probe`` raises for files that are no media.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(16)
            if xmp.format_of(start) is not None:
                return marks_of_picture(start + file.read())
    except OSError as error:
        raise InputMissing(f"{path} cannot be read: {error.strerror}.") from None
    from mien.media.probe import probe

    return marks_of_tags(probe(path).tags)


def _parse(packet: bytes) -> Marks | None:
    """Marks from a packet, which anyone may have written: a document type (entities) is not even looked at."""
    if b"<!DOCTYPE" in packet:
        return None
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError):
        return None
    source_type = _property(root, _IPTC, "DigitalSourceType")
    operations = tuple(_texts(root, f"{{{_EVENT}}}parameters"))
    if not source_type and not operations:
        return None
    return Marks(source_type, _property(root, _XMP, "CreatorTool"), operations)


def _property(root: ElementTree.Element, namespace: str, name: str) -> str:
    """A simple property, which XMP allows as an attribute, as text, or as an rdf:resource."""
    tag = f"{{{namespace}}}{name}"
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
