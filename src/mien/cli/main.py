"""The program ``mien``: runs one command line; whatever fails becomes one sentence and an exit code."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mien.cli.spelling import speller
from mien.cli.terminal import Terminal
from mien.errors import Canceled, MienError, OptionError, OutOfMemory

if TYPE_CHECKING:
    from mien.cli.program import Program

INTERNAL = 1
"""Exit code of a defect of mien."""

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line ``words`` (the process's own by default) and return the exit code."""
    limit_threads()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names need not be text; one that is not must not end the program while it is printed.
        sys.stdout.reconfigure(errors="backslashreplace")
    from mien.cli.program import Program

    return run(sys.argv[1:] if words is None else words, Program())


def run(words: Sequence[str], program: Program) -> int:
    """Run one command line over the given parts of the program; nothing escapes but an exit code."""
    terminal = Terminal(json="--json" in words, debug="--debug" in words, spell=speller(program))
    try:
        from mien.cli.app import build_app

        code = build_app(program, terminal).main(list(words), prog_name="mien", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 0
    except KeyboardInterrupt:
        terminal.error("stopped.", Canceled.code)
        return Canceled.exit_code
    except BrokenPipeError:
        # The reader of stdout went away (`mien options | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERNAL
    except Exception as error:  # the border of the program: nothing may escape as a traceback
        return fail(error, terminal)


def _parser_error() -> Any:
    """The root of typer's errors about a command line; its name and its module differ between versions of typer."""
    import typer

    return next(base for base in reversed(typer.BadParameter.__mro__) if hasattr(base, "format_message"))


def limit_threads() -> None:
    """Keep numeric libraries to one thread each unless the user said otherwise: frames run in parallel.

    Must happen before NumPy is imported: the libraries read these variables once.
    """
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")


def fail(error: Exception, terminal: Terminal) -> int:
    """Tell the user of an error in one sentence (with its traceback in debug mode); returns the exit code."""
    if terminal.debug:
        traceback.print_exception(error)
    if isinstance(error, MienError):
        terminal.error(str(error), error.code)
        return error.exit_code
    if isinstance(error, _parser_error()):
        terminal.error(error.format_message(), OptionError.code)
        return int(error.exit_code)
    if isinstance(error, MemoryError):
        terminal.error("there was not enough memory.", OutOfMemory.code)
        return OutOfMemory.exit_code
    reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    hint = "" if terminal.debug else "; run again with --debug to see where"
    terminal.error(f"internal error ({reason}){hint}.")
    return INTERNAL
