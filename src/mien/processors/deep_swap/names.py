"""Names of deep swapper models: ``vendor/person_size`` of the catalogue, ``custom/file`` of the user's own folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.errors import ModelMissing

CUSTOM = "custom"
"""Vendor of the user's own models, and name of the folder that holds them."""
VENDORS = ("druuzil", "edel", "iperov", "jen", "mats", "rumateus", CUSTOM)
ENDINGS = (".dfm", ".onnx")


def check_name(name: str) -> str:
    """The name itself; raises ValueError unless it is a vendor and the plain name of one file."""
    vendor, _, person = name.partition("/")
    if (
        vendor not in VENDORS
        or not person
        or person.startswith(".")
        or any(sign in person for sign in "/\\:\0")
    ):
        raise ValueError(
            f"name a vendor and a model, as iperov/elon_musk_224; vendors are {', '.join(VENDORS)}"
        )
    return name


def is_custom(name: str) -> bool:
    """True for a model of the user's own."""
    return name.startswith(f"{CUSTOM}/")


def custom_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """All models of the user's own, sorted; ``folders`` are those in which ``custom`` is looked for."""
    files = (path for folder in folders for path in _files(folder))
    return tuple(sorted({f"{CUSTOM}/{path.stem}" for path in files}))


def custom_path(name: str, folders: Sequence[Path]) -> Path:
    """The file of a model of the user's own, in the first folder that has it. Raises ModelMissing."""
    wanted = name.partition("/")[2]
    for folder in folders:
        for path in _files(folder):
            if path.stem == wanted:
                return path
    places = " or ".join(str(folder / CUSTOM) for folder in folders)
    raise ModelMissing(f"There is no model {name}: put {wanted}.dfm into {places}.")


def _files(folder: Path) -> Sequence[Path]:
    own = folder / CUSTOM
    if not own.is_dir():
        return ()
    return sorted(path for path in own.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
