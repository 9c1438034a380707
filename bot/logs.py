"""Structured logs. Bearer handles and secrets are taken out before anything is written (facts 6, threat 14)."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

GONE = "[redacted]"

_SECRET_NAME = re.compile(
    r"token|secret|password|authorization|signature|response_url|trigger_id|trigger$|cookie|ciphertext|payload$"
    r"|private_key|secret_keys?$|api_key|credential",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"xox[a-z](?:\.xox[a-z])?-[\w-]+|xapp-[\w-]+|xwfp-[\w-]+"
    r"|https?://[^\s\"'<>]*/(?:commands|actions|response|services|workflows)/[^\s\"'<>]+"
    r"|\b\d{9,}\.\d{6,}\.[0-9a-f]{16,}\b"
    r"|\bdapi[0-9a-zA-Z-]{8,}|\bdose[0-9a-f]{16,}|(?<=[Bb]earer )\S+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


def redacted(value: Any, name: str = "") -> Any:
    """``value`` without secrets: by the name it goes under, and by what it looks like."""
    if name and _SECRET_NAME.search(name) and not isinstance(value, bool | int | float | None):
        return GONE
    if isinstance(value, str):
        return _SECRET_TEXT.sub(GONE, value)
    if isinstance(value, Mapping):
        return {key: redacted(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(entry) for entry in value]
    if isinstance(value, bool | int | float | None):
        return value
    return _SECRET_TEXT.sub(GONE, str(value))


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor. Put it last before the renderer, after tracebacks became text."""
    return {
        key: entry if key.startswith("_") or key == "level" else redacted(entry, key) for key, entry in event.items()
    }


def configure(json: bool = False, level: str = "INFO") -> None:
    """Set up structlog and the standard library's logging, so that libraries write through the same redaction."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    renderer: Any = structlog.processors.JSONRenderer()
    if not json:
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for quiet in ("slack_sdk", "slack_bolt", "waitress", "werkzeug", "apscheduler", "alembic"):
        logging.getLogger(quiet).setLevel(max(logging.WARNING, root.level))
