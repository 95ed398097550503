"""Structured logs: one JSON object a line in production, plain lines in development."""

import json
import logging
import logging.config
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from app.settings import Settings

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being handled, if there is one."""

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """Return what the caller passed as `extra=`."""
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """A line of JSON: time (UTC, ISO 8601), level, logger, message, request_id, extras, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id_var.get(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PlainFormatter(logging.Formatter):
    """A line for a terminal, with the request id and the extras behind the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        extra = {"request_id": request_id_var.get(), **_extra(record)}
        details = " ".join(f"{name}={value}" for name, value in extra.items() if value is not None)
        return f"{super().formatMessage(record)}  {details}".rstrip()


def configure_logging(settings: Settings) -> None:
    """Send every logger, uvicorn's too, to standard error in one format."""
    formatter = PlainFormatter if settings.environment == "development" else JsonFormatter
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"lines": {"()": formatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "root": {"level": settings.log_level, "handlers": ["stderr"]},
            "loggers": {
                "uvicorn": {"level": "INFO", "handlers": [], "propagate": True},
                # RequestContext writes the one line a request gets.
                "uvicorn.access": {"handlers": [], "propagate": False},
                # One line for every outbound request is too many.
                "httpx2": {"level": "WARNING"},
            },
        }
    )
