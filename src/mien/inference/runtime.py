"""The inference runtime of one engine: loads each model file once and shares it between all threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from mien.errors import ModelCorrupt, ModelMissing, ProviderError
from mien.inference.options import LoadOptions

if TYPE_CHECKING:
    from mien.inference.session import Session, Shape
    from mien.settings import Settings

Key = tuple[Any, ...]


class Runtime:
    """Loads models and keeps them. Use it as a context manager, or ``close()`` it.

    What a model runs on follows from the ending of its file: ``.tflite`` LiteRT, ``.onnx`` ONNX Runtime, as do
    the ``.dfm`` files of DeepFaceLab, which are ONNX by another name.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._sessions: dict[Key, Session] = {}
        self._loading: dict[Key, threading.Lock] = {}
        self._opened: Counter[str] = Counter()
        self._checked = False

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def load(
        self,
        path: Path,
        *,
        inputs: Sequence[Shape] = (),
        outputs: int = 0,
        **changes: Any,
    ) -> Session:
        """Load a model file, or return the session that it has already.

        ``inputs`` are the shapes that the caller will feed (None: any length) and ``outputs`` the least number
        of outputs that it will read; a model of another shape is refused. ``changes`` replace fields of
        ``LoadOptions``: ``providers``, ``precision``, ``threads``, ``low_memory``, ``extra`` …

        Raises ModelMissing, ModelCorrupt, ProviderError, OutOfMemory.
        """
        from mien.inference.session import Expected

        options = replace(self._options(), **changes)
        key = self._key(path, options)
        with self._lock:
            session = self._sessions.get(key)
            loading = self._loading.setdefault(key, threading.Lock())
        if session is None:
            with loading:
                session = self._sessions.get(key) or self._open(path, options)
                with self._lock:
                    if key not in self._sessions:
                        self._opened[str(key[0])] += 1
                    self._sessions[key] = session
        Expected(tuple(inputs), outputs).check(session, path)
        return session

    def check_providers(self) -> None:
        """Open every execution provider that the settings name, on each of their devices; done once.

        Raises ProviderError for the first that does not open: built-in models, which run on the CPU whatever is
        asked for, must not hide that.
        """
        if self._checked:
            return
        named = [name for name in self._settings.providers if name != "cpu"]
        if named:
            from mien.inference.probe import probe

            for name in named:
                for device in self._settings.device_ids or (0,):
                    reason = probe(name, device)
                    if reason is not None:
                        raise ProviderError(reason)
        self._checked = True

    def release(self, paths: Sequence[Path] | None = None) -> None:
        """Let go of the sessions of these files, or of all; their memory is freed when no run uses them."""
        names = None if paths is None else {str(path.absolute()) for path in paths}
        with self._lock:
            for key in [key for key in self._sessions if names is None or key[0] in names]:
                del self._sessions[key]
                self._loading.pop(key, None)

    def close(self) -> None:
        """Let go of all sessions."""
        self.release()

    @property
    def loaded(self) -> Mapping[str, int]:
        """How often each loaded model file has run, by path."""
        with self._lock:
            counts: dict[str, int] = {}
            for key, session in self._sessions.items():
                counts[str(key[0])] = counts.get(str(key[0]), 0) + session.runs
        return MappingProxyType(counts)

    @property
    def opened(self) -> Mapping[str, int]:
        """How often each model file was loaded, by path; those that were let go of count too."""
        with self._lock:
            return MappingProxyType(dict(self._opened))

    def _options(self) -> LoadOptions:
        settings = self._settings
        return LoadOptions(
            providers=settings.providers,
            device_ids=settings.device_ids,
            precision=settings.precision,
            workers=settings.threads,
        )

    def _key(self, path: Path, options: LoadOptions) -> Key:
        try:
            stat = path.stat()
        except OSError:
            raise ModelMissing(f"The model file {path} does not exist or cannot be read.") from None
        extra = tuple((name, tuple(sorted(values.items()))) for name, values in sorted(options.extra.items()))
        return str(path.absolute()), stat.st_size, stat.st_mtime_ns, options, extra

    def _open(self, path: Path, options: LoadOptions) -> Session:
        opener = _OPENERS.get(path.suffix.lower())
        if opener is None:
            raise ModelCorrupt(f"The model file {path} is not an .onnx, .dfm or .tflite file.")
        if path.stat().st_size == 0:
            raise ModelCorrupt(f"The model file {path} is empty.")
        return opener(path, options, self._settings.cache_folder() / "graphs")


def _open_litert(path: Path, options: LoadOptions, folder: Path) -> Session:
    from mien.inference.litert import LiteRTSession

    return LiteRTSession(path)


def _open_onnx(path: Path, options: LoadOptions, folder: Path) -> Session:
    from mien.inference.graphs import GraphCache
    from mien.inference.onnx import open_session

    return open_session(path, options, GraphCache(folder))


_OPENERS: Mapping[str, Callable[[Path, LoadOptions, Path], Session]] = MappingProxyType(
    {".tflite": _open_litert, ".onnx": _open_onnx, ".dfm": _open_onnx}
)
