from __future__ import annotations

from mien.models import ModelStore, load_catalogue
from mien.models.builtin import builtin
from mien.settings import Settings
from tests.conftest import BUILTIN


def test_it_is_what_the_package_index_carries() -> None:
    assert set(BUILTIN) <= set(builtin(ModelStore(Settings(), load_catalogue())))
