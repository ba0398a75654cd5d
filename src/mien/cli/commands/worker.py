"""``mien worker``; see ``serve``."""

from mien.cli.commands.serve import worker_command

__all__ = ["worker_command"]
