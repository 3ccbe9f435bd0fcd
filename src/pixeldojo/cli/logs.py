"""Where log lines go: JSON for machines, short lines for people, always on standard error."""

import logging
import sys

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from pixeldojo.core.settings import Settings


def configure_logs(settings: Settings) -> FilteringBoundLogger:
    """Set up logging for the process and return the logger that is handed to everything."""
    renderer: Processor
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            # The default shows on a terminal what every variable held: keys, prompts.
            exception_formatter=structlog.dev.plain_traceback,
        )
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render_exception if settings.log_format == "json" else _as_it_is,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard module; their warnings should not be lost, their chatter should.
    logging.basicConfig(
        stream=sys.stderr, level=max(level, logging.WARNING), format="%(levelname)s %(name)s: %(message)s"
    )
    # It warns of bodies that it cannot read: whoever sent one is told, and nobody else need know what was in it.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def _render_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return structlog.processors.format_exc_info(logger, method, event)


def _as_it_is(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return event
