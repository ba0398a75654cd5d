"""Reads Content Credentials: is there a manifest, does it fit the file, who signed it, and what does it say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import c2pa

from mien.safety.carriers import find_sidecar, has_sidecar, may_have_manifest, media_type
from mien.safety.credentials import context_of

State = Literal["none", "valid", "trusted", "tampered"]

UNTRUSTED: Final = "signingCredential.untrusted"
_STATES: Final[Mapping[str, State]] = {"Valid": "valid", "Trusted": "trusted", "Invalid": "tampered"}
_CHANGED: Final = ("dataHash.mismatch", "bmffHash.mismatch", "boxesHash.mismatch")


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A file from which this one was made, as its maker declared it."""

    format: str
    state: State
    """What its own manifest was worth when this file was signed."""
    signer: str = ""
    software: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the Content Credentials of a file say.

    ``none``: there are none. ``tampered``: file or manifest were changed after signing. ``valid``: unchanged, and
    signed by somebody who is not among those that are trusted. ``trusted``: unchanged, and signed by one of them.
    """

    state: State
    signer: str = ""
    signed_at: str = ""
    """As the time-stamp authority said (ISO 8601); empty without one."""
    software: str = ""
    operations: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    source_types: tuple[str, ...] = ()
    parents: tuple[Ancestor, ...] = ()
    problems: tuple[str, ...] = ()
    """One line for each thing that does not fit."""
    beside: bool = False
    """The manifest lies in a file of its own."""


def read_manifest(path: Path, format: str, anchors: Sequence[str] = ()) -> Manifest:
    """The Content Credentials of a file of a format of ``mien.types.MediaInfo``; ``anchors`` are trusted roots (PEM).

    Nothing is read from the network, whatever the file asks for.
    """
    data = _sidecar(path) if has_sidecar(format) else None
    if data is None and has_sidecar(format):
        return Manifest("none")
    try:
        with context_of(anchors=anchors) as context, path.open("rb") as file:
            reader = c2pa.Reader.try_create(media_type(format), file, data, context=context)
            if reader is None:
                return Manifest("none")
            with reader:
                return _manifest(json.loads(reader.json()), beside=data is not None)
    except c2pa.C2paError as error:
        if isinstance(error, c2pa.C2paError.NotSupported):
            return Manifest("none")
        # The library has no class of its own for this one.
        if str(error).startswith("Remote"):
            return Manifest(
                "none", problems=("The file says that its manifest lies on a server; none is asked.",)
            )
        if not may_have_manifest(path, format):
            # A file that the library cannot follow, and nothing in it that looks like a manifest.
            return Manifest("none")
        reason = " ".join(str(error).split()).rstrip(".")
        return Manifest("tampered", problems=(f"The manifest cannot be read ({reason}).",))


def _sidecar(path: Path) -> bytes | None:
    found = find_sidecar(path)
    try:
        return None if found is None else found.read_bytes()
    except OSError:
        return None


def _manifest(store: Mapping[str, Any], *, beside: bool) -> Manifest:
    manifests = store["manifests"]
    active = manifests.get(store.get("active_manifest"), {})
    signature = active.get("signature_info", {})
    actions = list(_actions(active))
    parameters = [action.get("parameters") or {} for action in actions]
    return Manifest(
        state=_STATES[store["validation_state"]],
        signer=_signer(active),
        signed_at=signature.get("time") or "",
        software=_software(active),
        operations=_each(_operation(action) for action in actions),
        models=_each(model for item in parameters for model in item.get("mien.models") or ()),
        source_types=_each(action.get("digitalSourceType") for action in actions),
        parents=tuple(_parents(active, manifests)),
        problems=tuple(_problems(store.get("validation_results", {}).get("activeManifest", {}))),
        beside=beside,
    )


def _actions(manifest: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for assertion in manifest.get("assertions", ()):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            yield from assertion.get("data", {}).get("actions", ())


def _operation(action: Mapping[str, Any]) -> str:
    """What was done: mien's own word for it, or that of the standard."""
    return (action.get("parameters") or {}).get("mien.operation") or str(action.get("action", ""))


def _parents(manifest: Mapping[str, Any], manifests: Mapping[str, Any]) -> Iterable[Ancestor]:
    for ingredient in manifest.get("ingredients", ()):
        own = manifests.get(ingredient.get("active_manifest"))
        state: State = "none"
        if own is not None:
            results = ingredient.get("validation_results", {}).get("activeManifest", {})
            codes = {item.get("code") for item in results.get("failure", ())}
            state = "tampered" if codes - {UNTRUSTED} else "valid" if codes else "trusted"
        yield Ancestor(ingredient.get("format", ""), state, _signer(own or {}), _software(own or {}))


def _signer(manifest: Mapping[str, Any]) -> str:
    signature = manifest.get("signature_info", {})
    return str(signature.get("issuer") or signature.get("common_name") or "")


def _software(manifest: Mapping[str, Any]) -> str:
    """Name and version of the program that made the claim."""
    for item in manifest.get("claim_generator_info", ()):
        return " ".join(part for part in (item.get("name"), item.get("version")) if part)
    return str(manifest.get("claim_generator", ""))


def _problems(results: Mapping[str, Any]) -> Iterable[str]:
    for item in results.get("failure", ()):
        code = item.get("code", "")
        if code == UNTRUSTED:
            continue
        if code.endswith(_CHANGED):
            yield f"The content was changed after it was signed ({code})."
        else:
            yield f"{str(item.get('explanation') or 'does not fit').capitalize()} ({code})."


def _each(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(value) for value in values if value))
