"""``mien api``; see ``serve``."""

from mien.cli.commands.serve import api_command

__all__ = ["api_command"]
