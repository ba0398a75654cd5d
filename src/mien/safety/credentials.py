"""Content Credentials: signs a finished file, saying what was done to it with which models, and from what it came.

The signature goes into JPEG, PNG, WebP, TIFF, AVIF, MP4, MOV and AVI files, and beside all others: ``out.mkv.c2pa``.
Nothing is ever read from the network, apart from a time-stamp authority that the operator named.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import c2pa

from mien._version import __version__
from mien.errors import DiskFull, OutputError, SigningFailed
from mien.media.atomic import refusal_of, replacing
from mien.safety.carriers import SIDECAR_TYPE, UNKNOWN_TYPE, find_sidecar, has_sidecar, media_type, sidecar_of
from mien.safety.signer import Signer

_PARENT: Final[Mapping[str, str]] = MappingProxyType({"relationship": "parentOf"})
_CREATED: Final = c2pa.C2paDigitalSourceType.TRAINED_ALGORITHMIC_MEDIA
_AGENT: Final = {"name": "mien", "version": __version__}


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that was done: a processor, its models, and what that makes of a picture (IPTC address)."""

    name: str
    source_type: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature vouches for."""

    operations: tuple[Operation, ...]
    parent: Path | None
    """The file that was worked on; its own manifests are kept. Its name is not. None: the file was made of nothing."""
    parent_format: str = ""
    watermark: str | None = None
    """Id of the invisible watermark, if one was put in."""
    added: tuple[tuple[Path, str], ...] = ()
    """Files that were put behind the parent, with their formats."""


def sign_file(path: Path, format: str, claim: Claim, signer: Signer, *, output: Path | None = None) -> None:
    """Sign the file ``path`` in its place; a sidecar is named after ``output``, the name that the file will have.

    Takes as much disk again as the file for a moment, and little memory whatever its size. Raises SigningFailed; the
    file is as it was then.
    """
    with _failures(output or path), context_of(signer) as context:
        builder = c2pa.Builder.from_json(definition(claim), context=context)
        if claim.parent is None:
            builder.set_intent(c2pa.C2paBuilderIntent.CREATE, _CREATED)
        else:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            _add_ingredient(builder, claim.parent, claim.parent_format, _PARENT)
        for number, (file, kind) in enumerate(claim.added):
            _add_ingredient(
                builder, file, kind, {"relationship": "componentOf", "instance_id": _id_of(number)}
            )
        if has_sidecar(format):
            _sign_beside(builder, path, media_type(format), sidecar_of(output or path))
        else:
            _sign_inside(builder, path, media_type(format))


def definition(claim: Claim) -> str:
    """The manifest as JSON: actions in order, and who did them. Names no file and no person."""
    verb = "c2pa.created" if claim.parent is None else "c2pa.edited"
    actions = [_action(operation, verb) for operation in claim.operations]
    if claim.added:
        placed = [_id_of(number) for number in range(len(claim.added))]
        actions.append({"action": "c2pa.placed", "parameters": {"ingredientIds": placed}})
    if claim.watermark is not None:
        actions.append({"action": "c2pa.watermarked.unbound", "parameters": {"mien.id": claim.watermark}})
    data = {"actions": actions, "allActionsIncluded": True}
    return json.dumps(
        {"claim_generator_info": [_AGENT], "assertions": [{"label": "c2pa.actions.v2", "data": data}]}
    )


def _action(operation: Operation, verb: str) -> dict[str, Any]:
    return {
        "action": verb,
        "digitalSourceType": operation.source_type,
        "softwareAgent": _AGENT,
        "parameters": {"mien.operation": operation.name, "mien.models": list(operation.models)},
    }


def library_settings(anchors: Sequence[str] = ()) -> dict[str, Any]:
    """Settings of the c2pa library: no network, no thumbnails, little memory. Other readers accept what comes out.

    Without them a file of 400 MB takes 800 MB to sign, and a file may make its reader ask any server it names.
    """
    settings: dict[str, Any] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        "builder": {"thumbnail": {"enabled": False}},
        "core": {
            "backing_store_memory_threshold_in_mb": 8,
            "merkle_tree_chunk_size_in_kb": 1024,
            "merkle_tree_max_proofs": 5,
        },
    }
    if anchors:
        settings["trust"] = {"user_anchors": "\n".join(anchors)}
    return settings


@contextmanager
def context_of(signer: Signer | None = None, anchors: Sequence[str] = ()) -> Iterator[Any]:
    """A context of the c2pa library, which keeps settings and signer apart from all others in the process."""
    own = None
    if signer is not None:
        algorithm = c2pa.C2paSigningAlg[signer.algorithm]
        own = c2pa.Signer.from_callback(signer.sign, algorithm, signer.chain, signer.tsa_url)
    with (
        c2pa.Settings.from_dict(library_settings(anchors)) as settings,
        c2pa.Context(settings, own) as context,
    ):
        yield context


def _id_of(number: int) -> str:
    """How a manifest names a file that was put behind the parent."""
    return f"mien:added:{number}"


def _add_ingredient(builder: Any, file: Path, format: str, about: Mapping[str, str]) -> None:
    """Name a file that was worked on, with its own manifests as they are found, in it or beside it."""
    beside = find_sidecar(file) if has_sidecar(format) else None
    ingredient: dict[str, Any] = dict(about)
    with suppress(c2pa.C2paError):  # a file beside it that is no manifest
        ingredient |= {} if beside is None else _from_beside(builder, file, format, beside)
    with file.open("rb") as stream:
        try:
            builder.add_ingredient(json.dumps(ingredient), media_type(format), stream)
        except c2pa.C2paError:
            # A file that decodes and whose structure the library cannot follow; it is named as mere bytes.
            stream.seek(0)
            builder.add_ingredient(json.dumps(ingredient), UNKNOWN_TYPE, stream)


def _from_beside(builder: Any, file: Path, format: str, sidecar: Path) -> dict[str, Any]:
    """What an ingredient says of manifests that lie beside its file. The library looks for them only inside."""
    data = sidecar.read_bytes()
    with (
        context_of() as context,
        file.open("rb") as stream,
        c2pa.Reader(media_type(format), stream, data, context=context) as reader,
    ):
        store = json.loads(reader.json())
    name = hashlib.sha256(data).hexdigest()
    builder.add_resource(name, io.BytesIO(data))
    return {
        "active_manifest": store["active_manifest"],
        "validation_results": store["validation_results"],
        "manifest_data": {"format": SIDECAR_TYPE, "identifier": name},
    }


def _sign_inside(builder: Any, path: Path, type: str) -> None:
    signed = path.with_name(f"{path.name}.signed")
    try:
        with path.open("rb") as source, signed.open("x+b") as target:
            builder.sign(type, source, target)
        os.replace(signed, path)
    finally:
        with suppress(OSError):
            signed.unlink(missing_ok=True)


def _sign_beside(builder: Any, path: Path, type: str, sidecar: Path) -> None:
    builder.set_no_embed()
    with path.open("rb") as source, open(os.devnull, "w+b") as nowhere:
        manifest = builder.sign(type, source, nowhere)
    with replacing(sidecar) as temporary:
        temporary.write_bytes(manifest)


@contextmanager
def _failures(output: Path) -> Iterator[None]:
    """Say in one sentence why a file could not be signed."""
    try:
        yield
    except c2pa.C2paError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise SigningFailed(f"{output} could not be signed: {reason}.") from None
    except OutputError:
        raise
    except OSError as error:
        refusal = refusal_of(error, output)
        if isinstance(refusal, DiskFull):
            raise refusal from error
        raise SigningFailed(f"{output} could not be signed: {error.strerror or error}.") from error
