"""Builds the web studio into a package: with Node where it is there, otherwise what was built before.

A checkout without Node, and an editable installation, work without it. ``MIEN_STUDIO=require`` (for releases) makes
a package without the studio an error; ``MIEN_STUDIO=skip`` takes what is there without building.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StudioHook(BuildHookInterface):
    """Runs before a wheel or an archive of the sources is packed."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, where that is wanted and possible."""
        if version == "editable":
            return
        root = Path(self.root)
        wish = os.environ.get("MIEN_STUDIO", "")
        problem = "" if wish == "skip" else build(root / "web")
        if (root / "src/mien/studio/dist/index.html").is_file() and not (problem and wish == "require"):
            return
        if wish == "require":
            raise RuntimeError(f"the studio is missing: {problem or 'it was not built'}")
        self.app.display_warning(f"packed without the studio: {problem or 'it was not built'}")


def build(web: Path) -> str:
    """Build the studio; the reason why that is not possible, or nothing."""
    npm = shutil.which("npm")
    if not (web / "package.json").is_file():
        return "the sources of the studio are not here"
    if npm is None:
        return "npm is not installed"
    for command in (["install", "--no-save", "--no-audit", "--no-fund"], ["run", "build"]):
        done = subprocess.run([npm, *command], cwd=web, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"npm {command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}"
    return ""
