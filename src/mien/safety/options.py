"""Options of a step about how its output is marked, and whose consent it rests on."""

from __future__ import annotations

from typing import ClassVar, Literal

from mien.options import Options, option

Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]


class ProvenanceOptions(Options):
    """Marks beyond the plain ones and the signature: in the pixels, seen or unseen."""

    group: ClassVar[str] = "output"
    section: ClassVar[str] = "output_creation"
    title: ClassVar[str] = "Marks in the picture"

    watermark: bool = option(
        False, help="Put an invisible watermark into the pixels; it survives recompression and scaling."
    )
    watermark_id: str | None = option(
        None,
        help="What the watermark says, ten hexadecimal digits; unset: taken from target, processors and options.",
    )
    badge: Literal["off", "top-left", "top-right", "bottom-left", "bottom-right"] = option(
        "off", help="Draw a visible badge in this corner."
    )
    badge_text: str = option("Edited with AI", help="What the badge says.")


class ConsentOptions(Options):
    """Whose consent a run rests on."""

    group: ClassVar[str] = ""
    section: ClassVar[str] = "safety"
    title: ClassVar[str] = "Consent"

    consent_ref: str | None = option(
        None, help="Reference to the consent of the people shown; kept in the audit log, not in the output."
    )
