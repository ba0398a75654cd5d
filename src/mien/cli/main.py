"""The program ``mien``: runs one command line; whatever fails becomes one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from mien.cli.terminal import Terminal
from mien.errors import MienError, OutOfMemory

INTERNAL = 1
"""Exit code of a defect of mien."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell would give it: 128 + SIGINT."""

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line ``words`` (the process's own by default) and return the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    limit_threads()
    from mien.cli.app import build_app
    from mien.cli.program import Program

    terminal = Terminal(json="--json" in words, debug="--debug" in words)
    try:
        code = build_app(Program(), terminal).main(words, prog_name="mien", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 0
    except KeyboardInterrupt:
        terminal.error("stopped.", "canceled")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout went away (`mien options | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERNAL
    except Exception as error:  # the border of the program: nothing may escape as a traceback
        return fail(error, terminal)


def limit_threads() -> None:
    """Keep numeric libraries to one thread each unless the user said otherwise: frames run in parallel.

    Must happen before NumPy is imported: the libraries read these variables once.
    """
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")


def fail(error: Exception, terminal: Terminal) -> int:
    """Tell the user of an error in one sentence (with its traceback in debug mode); returns the exit code."""
    import typer

    if terminal.debug:
        traceback.print_exception(error)
    if isinstance(error, MienError):
        terminal.error(str(error), error.code)
        return error.exit_code
    if isinstance(error, typer.TyperException):
        terminal.error(error.format_message(), "invalid_option")
        return error.exit_code
    if isinstance(error, MemoryError):
        terminal.error("there was not enough memory.", OutOfMemory.code)
        return OutOfMemory.exit_code
    reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    hint = "" if terminal.debug else "; run again with --debug to see where"
    terminal.error(f"internal error ({reason}){hint}.")
    return INTERNAL
