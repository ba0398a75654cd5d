from __future__ import annotations

import pytest

from mien.db.migrate import migrate


@pytest.fixture(autouse=True)
def _real_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, no table is copied from another database."""
    monkeypatch.setattr("mien.db.migrate.migrate", migrate)
