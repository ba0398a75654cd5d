"""The web studio as built files, in the folder ``dist``; its sources are in ``web/`` of the repository."""

from __future__ import annotations

from pathlib import Path

DIST = Path(__file__).with_name("dist")
"""Where the build puts the files; absent where nothing was built."""
