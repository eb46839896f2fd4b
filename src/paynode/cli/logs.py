"""Logs: one line an event on stderr, JSON where it is read by machines, plain text on a terminal.

The one rule: nothing here can show a secret. Tracebacks carry no local variables, and libraries that would log
requests with their URLs are kept quiet at every level; our own secrets print as `***`.
"""

import logging
import os
import sys
from collections.abc import Mapping

import structlog

from paynode.cli.exit_codes import ExitCode
from paynode.cli.problems import Failure

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
VARIABLE = "PAYNODE_LOG"

# httpx announces each request with its full URL, httpcore each header, hypercorn's access log each payer.
QUIET = ("httpx", "httpcore", "hypercorn.access", "asyncio", "web3")
SERVER = "hypercorn.error"  # where it listens, and what broke


def configure(environ: Mapping[str, str] = os.environ) -> None:
    """Set up structlog and the standard library's logging, at the level that $PAYNODE_LOG names.

    Raises:
        Failure: it names none.
    """
    name = environ.get(VARIABLE, "info").lower()
    if name not in LEVELS:
        raise Failure(ExitCode.CONFIG, f"{VARIABLE} is none of {', '.join(LEVELS)}.")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *_rendering()],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[name]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,  # modules make their logger when imported, tests configure later
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering()],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    logging.getLogger(SERVER).setLevel(logging.INFO)
    for quiet in QUIET:
        logging.getLogger(quiet).setLevel(logging.WARNING)


def _rendering() -> list[structlog.typing.Processor]:
    if sys.stderr.isatty():
        # The default formatter shows local variables where it can.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
