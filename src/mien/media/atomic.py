"""Outputs appear whole or not at all: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from mien.errors import DiskFull, OutputError, OutputIsInput, OutputNotWritable
from mien.media.stale import held, hidden_name, remove_stale

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
)

Finish: TypeAlias = Callable[[Path], None]
"""Gets a finished file under its temporary name, and may change it before it is renamed."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file beside ``path`` that takes its place when the block ends without an
    error.

    The temporary name begins with a dot and keeps the extension. On any failure, an interrupt included,
    it is removed and an older ``path`` stays as it was. Raises DiskFull or OutputNotWritable for what
    the system refuses; other errors pass through.
    """
    temporary = hidden_name(path)
    try:
        with output_errors(path):
            _create(path, temporary)
            with held(temporary):
                yield temporary
                flush(temporary)
                os.replace(temporary, path)
            flush_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn refusals of the system while writing ``path`` into DiskFull, OutputNotWritable or
    OutputError.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        refusal = refusal_of(error, path)
        if refusal is None:
            raise
        raise refusal from error


def refusal_of(error: OSError, path: Path) -> OutputError | None:
    """The output error for what the system said while writing ``path``; None when it is about
    something else.
    """
    if error.errno in _FULL:
        return DiskFull(f"The disk is full: {path} could not be written, and nothing was left behind.")
    if error.errno in _REFUSED:
        return OutputNotWritable(f"{path} cannot be written: {_reason(path, error)}.")
    if error.errno == errno.EIO:
        return OutputError(f"{path} cannot be written: the disk reports an input/output error.")
    return None


def refuse_input_as_output(output: Path, inputs: Iterable[Path]) -> None:
    """Raise OutputIsInput when ``output`` is one of the inputs, also by another spelling or a link."""
    for path in inputs:
        if _same_file(output, path):
            raise OutputIsInput(f"The output {output} is also an input; choose another name.")


def check_writable(path: Path) -> None:
    """Refuse early, before any work: raises OutputNotWritable or DiskFull when ``path`` could not be
    created. What killed runs left half-written beside it is removed.
    """
    if path.is_dir():
        raise OutputNotWritable(f"{path} cannot be written: it is a folder.")
    remove_stale(path)
    probe = path.with_name(f".{path.stem[:80]}.{os.getpid()}-{secrets.token_hex(4)}.probe")
    with output_errors(path):
        try:
            _create(path, probe)
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)


def _create(path: Path, temporary: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def flush(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    # Windows flushes only descriptors that were opened for writing.
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Make the rename itself durable; file systems without folder flushes refuse, which does no harm."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _same_file(output: Path, path: Path) -> bool:
    try:
        return os.path.samefile(output, path)
    except OSError:
        return output.resolve() == path.resolve()


def _reason(path: Path, error: OSError) -> str:
    folder = path.parent
    if not folder.exists():
        return f"the folder {folder} does not exist"
    if not folder.is_dir():
        return f"{folder} is not a folder"
    if path.is_dir():
        return "it is a folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"the folder {folder} is read-only"
    return (error.strerror or str(error)).lower()
