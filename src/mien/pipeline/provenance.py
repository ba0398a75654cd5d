"""Marks in, on and under the output of one run: badge, watermark, signature."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import OptionError, SigningFailed
from mien.safety.marking import COMPOSITE, ENHANCED
from mien.safety.options import ProvenanceOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.pipeline.plan import Plan
    from mien.safety.badge import Badge
    from mien.safety.credentials import Claim
    from mien.safety.signer import Signer
    from mien.settings import Settings
    from mien.types import Frame

ID_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is done to the pictures of a run, and to its finished file, so that others can tell how it was made."""

    plan: Plan
    signer: Signer | None
    must_sign: bool
    badge: Badge | None
    watermark: int | None
    notice: Callable[[str], None]

    @property
    def watermark_id(self) -> str | None:
        """What the watermark says, as ten hexadecimal digits."""
        return None if self.watermark is None else f"{self.watermark:0{ID_DIGITS}x}"

    def stamp(self, image: Frame, alpha: NDArray[np.uint8] | None) -> tuple[Frame, NDArray[np.uint8] | None]:
        """A picture in its final size with badge and watermark; the ones given stay as they are."""
        if self.badge is not None:
            image, (left, top, right, bottom) = self.badge.draw(image)
            if alpha is not None:
                alpha = alpha.copy()
                alpha[top:bottom, left:right] = 255
        if self.watermark is not None:
            from mien.safety.watermark import embed

            image = embed(image, self.watermark)
        return image, alpha

    @contextmanager
    def signing(self, models: Mapping[str, tuple[str, ...]]) -> Iterator[Seal]:
        """Within the block the output is written, and ``finish`` of the seal called; ``models`` by processor.

        If the block fails, no signature stays behind beside the place of the output. ``finish`` raises SigningFailed
        where the settings require a signature.
        """
        from mien.safety.carriers import may_have_manifest

        plan, seal = self.plan, Seal(self, models)
        if self.signer is None and may_have_manifest(plan.step.target, plan.target.format):
            self.notice(
                f"{plan.step.target} has Content Credentials, which only a signed output can carry on; "
                "mien keys create makes a key."
            )
        with ExitStack() as undo:
            undo.callback(seal.remove)
            yield seal
            undo.pop_all()

    def sign(self, temporary: Path, models: Mapping[str, tuple[str, ...]]) -> bool:
        """Sign the finished file of this run; True if it was signed. Raises SigningFailed where it must be."""
        if self.signer is None:
            return False
        from mien.safety.credentials import Claim, Operation, sign_file

        plan = self.plan
        operations = tuple(
            Operation(
                link.name, COMPOSITE if link.processor.synthetic else ENHANCED, models.get(link.name, ())
            )
            for link in plan.chain
        )
        claim = Claim(operations, plan.step.target, plan.target.format, self.watermark_id)
        try:
            sign_file(temporary, plan.output_format, claim, self.signer, output=plan.step.output)
        except SigningFailed as error:
            if self.must_sign:
                raise
            self.notice(f"{str(error).rstrip('.')}; it is written without a signature.")
            return False
        return True


@dataclass(slots=True)
class Seal:
    """The signature of one output."""

    provenance: Provenance
    models: Mapping[str, tuple[str, ...]]
    signed: bool = False

    def finish(self, temporary: Path) -> None:
        """Sign the finished file under its temporary name, if this run signs."""
        self.signed = self.provenance.sign(temporary, self.models)

    def remove(self) -> None:
        """Remove a signature that lies beside an output that never came to be."""
        from mien.safety.carriers import has_sidecar, sidecar_of

        plan = self.provenance.plan
        if self.signed and has_sidecar(plan.output_format):
            sidecar_of(plan.step.output).unlink(missing_ok=True)


def make_provenance(
    plan: Plan, settings: Settings, signer: Signer | None, notice: Callable[[str], None]
) -> Provenance:
    """What the options of a step and the settings ask for; ``signer`` replaces the key of the settings.

    Raises OptionError for a wrong watermark id or badge text, SigningFailed for a key that is required and cannot be
    used.
    """
    options = plan.settings_of(ProvenanceOptions)
    signer = signer_for(settings, signer, notice)
    badge = None
    if options.badge != "off":
        from mien.safety.badge import Badge

        badge = Badge(options.badge, options.badge_text)
    number = _watermark_number(plan, options) if options.watermark else None
    return Provenance(plan, signer, settings.signing == "required", badge, number, notice)


def seal_joined(
    parts: Sequence[Path],
    output: Path,
    settings: Settings,
    signer: Signer | None,
    notice: Callable[[str], None],
) -> Callable[[Path], None] | None:
    """What signs a video that was joined from others, given its file under a temporary name; None without a signer.

    Raises SigningFailed, at once and later, where the settings require a signature.
    """
    signer = signer_for(settings, signer, notice)
    if signer is None:
        return None
    from mien.pipeline.plan import output_kind
    from mien.safety.credentials import Claim, Operation
    from mien.safety.marking import joined_marks, read_marks

    marks = joined_marks(read_marks(part) for part in parts)
    first, *others = ((part, output_kind(part)[1]) for part in parts)
    join = Operation("join", ENHANCED if marks is None else marks.source_type)
    claim = Claim((join,), *first, added=tuple(others))
    required = settings.signing == "required"
    return Signature(claim, output, output_kind(output)[1], signer, required, notice).finish


@dataclass(slots=True)
class Signature:
    """The signature of a file that no run made: ``finish`` puts it in, ``signed`` says whether it did."""

    claim: Claim
    output: Path
    format: str
    signer: Signer
    required: bool
    notice: Callable[[str], None]
    signed: bool = False

    def finish(self, temporary: Path) -> None:
        """Sign the finished file under its temporary name. Raises SigningFailed where it must be signed."""
        from mien.safety.credentials import sign_file

        try:
            sign_file(temporary, self.format, self.claim, self.signer, output=self.output)
        except SigningFailed as error:
            if self.required:
                raise
            self.notice(f"{str(error).rstrip('.')}; it is written without a signature.")
        else:
            self.signed = True


def signer_for(settings: Settings, given: Signer | None, notice: Callable[[str], None]) -> Signer | None:
    """Who signs, if anybody does. Raises SigningFailed for an unusable key where a signature is required."""
    if settings.signing == "off":
        return None
    if given is None and (settings.signing_key is not None or settings.signing == "required"):
        return _own_signer(settings, notice)
    return given


def _own_signer(settings: Settings, notice: Callable[[str], None]) -> Signer | None:
    """The signer of the settings. Raises SigningFailed for an unusable key only where a signature is required."""
    from mien.safety.signer import exposed, signer_of

    key = settings.signing_key
    if key is not None and exposed(key):
        notice(f"The signing key in {key} can be read by other users; chmod 600 keeps them out.")
    try:
        return signer_of(settings)
    except SigningFailed as error:
        if settings.signing == "required":
            raise
        notice(f"{str(error).rstrip('.')}; outputs are written without a signature.")
        return None


def _watermark_number(plan: Plan, options: ProvenanceOptions) -> int:
    """The id that was asked for, or one that follows from what is done to what, so that a second run has the same."""
    if options.watermark_id is not None:
        if re.fullmatch(f"[0-9a-fA-F]{{{ID_DIGITS}}}", options.watermark_id):
            return int(options.watermark_id, 16)
        raise OptionError(
            f"output_watermark_id cannot be {options.watermark_id!r}: give {ID_DIGITS} hexadecimal digits."
        )
    from mien.pipeline.work import file_identity

    step = plan.step
    parts = [file_identity(path) for path in (step.target, *step.all_sources)]
    values = {key: value for key, value in step.options.items() if key != "consent_ref"}
    parts += [f"{person.face.id}={len(person.sources)}" for person in step.people]
    text = "\n".join([*parts, *step.processors, *sorted(f"{key}={value}" for key, value in values.items())])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[: ID_DIGITS // 2], "big")
