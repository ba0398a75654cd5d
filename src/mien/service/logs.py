"""What the service says of itself: one line for each event, readable on a terminal, JSON elsewhere.

A log belongs to one service; nothing of it is global. ``take_over`` hands the lines of libraries to it, for programs
that are the service.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias, cast

from mien.service.settings import ServiceSettings

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    Log: TypeAlias = FilteringBoundLogger

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SECRET: Final = ("secret", "token", "password", "authorization", "cookie", "api_key")


def open_log(settings: ServiceSettings, stream: TextIO | None = None) -> Log:
    """The log of one service. Goes to stderr unless ``stream`` is given."""
    import structlog

    stream = stream or sys.stderr
    readable = settings.log_format == "console" or (settings.log_format == "auto" and stream.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_secrets,
    ]
    if readable:
        processors.append(structlog.dev.ConsoleRenderer(colors=stream.isatty()))
    else:
        processors += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    log = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.log_level]),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return cast("Log", log)


def take_over(log: Log, settings: ServiceSettings) -> None:
    """Write the lines of libraries into this log. For a program's start only: logging belongs to the process."""
    root = logging.getLogger()
    root.handlers[:] = [_Handler(log)]
    root.setLevel(max(_LEVELS[settings.log_level], logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = min(max(record.levelno, 10), 40) // 10 * 10
            self._log.log(level, record.getMessage(), logger=record.name, exc_info=record.exc_info)
        except (
            Exception
        ):  # the border of logging: a line that cannot be written must not end what it tells of
            self.handleError(record)


def _without_secrets(log: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key.lower() for word in _SECRET):
            event[key] = "***"
    return event
