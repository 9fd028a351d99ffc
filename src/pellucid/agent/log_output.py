"""The agent's own log: one line for each thing worth knowing, as text or JSON, and to whoever watches.

Rooms log through the standard library or structlog; both end here.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import structlog

from pellucid.agent.configuration import Logging
from pellucid.agent.configuration_sources import ConfigurationError

LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERR": logging.ERROR,
    "ERROR": logging.ERROR,
}
WATCHER_LINES = 1_024
"""Lines kept for a watcher that reads slowly; older ones are dropped."""

QUIET = ("asyncio", "grpc", "hpack", "httpcore2", "httpx2")
"""Libraries that are heard only when something is wrong."""

_BEFORE: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
]


def set_up(settings: Logging) -> None:
    """Send every log line where the settings say. May be called again with other settings.

    Raises ConfigurationError when the file cannot be written, and then nothing has changed.
    """
    handler = _handler(settings)
    structlog.configure(
        processors=[*_BEFORE, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler, *(h for h in root.handlers if isinstance(h, _Watcher))]
    root.setLevel(LEVELS[settings.level])
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _handler(settings: Logging) -> logging.Handler:
    handler: logging.Handler = logging.StreamHandler(sys.stdout)
    if settings.file:
        try:
            Path(settings.file).parent.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(settings.file)
        except OSError as error:
            raise ConfigurationError(f"log_file: cannot write {settings.file}: {error.strerror}") from error
    handler.setFormatter(_formatter(as_json=settings.json, colors=not settings.file and sys.stdout.isatty()))
    return handler


async def lines(level: str, as_json: bool) -> AsyncIterator[bytes]:
    """The log's lines from a level on, from now on, without end."""
    watcher = _Watcher(_formatter(as_json=as_json, colors=False), LEVELS.get(level, logging.INFO))
    logging.getLogger().addHandler(watcher)
    try:
        while True:
            yield await watcher.queue.get()
    finally:
        logging.getLogger().removeHandler(watcher)


class _Watcher(logging.Handler):
    def __init__(self, formatter: logging.Formatter, level: int) -> None:
        super().__init__(level)
        self.setFormatter(formatter)
        self._loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record).encode() + b"\n"
        self._loop.call_soon_threadsafe(self._put, line)

    def _put(self, line: bytes) -> None:
        if self.queue.qsize() >= WATCHER_LINES:
            self.queue.get_nowait()
        self.queue.put_nowait(line)


def _formatter(*, as_json: bool, colors: bool) -> logging.Formatter:
    # A traceback without the values of variables, which may be secrets.
    console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    render: Any = structlog.processors.JSONRenderer() if as_json else console
    processors: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        processors.append(structlog.processors.format_exc_info)
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_BEFORE, processors=[*processors, render])
