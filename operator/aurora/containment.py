"""What goes wrong with one model stays with it: the cycle goes on for the others."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from aurora.errors import AuroraError
from aurora.telemetry import Telemetry

__all__ = ["contained"]

log = structlog.get_logger(__name__)

TRACE_DEPTH: Final = 8


@contextmanager
def contained(telemetry: Telemetry, stage: str, model: object) -> Iterator[None]:
    """Log and count what the body raises, and go on after it.

    One of the two places where any exception is caught, besides the loop itself: one object that
    nobody thought of must not keep 9,999 others from being looked after.

    Args:
        telemetry: counts it, by stage.
        stage: of the cycle.
        model: that it is about, for the log.
    """
    try:
        yield
    except AuroraError as error:
        telemetry.failures.labels(stage, type(error).__name__).inc()
        log.warning("one model was passed over", stage=stage, model=str(model), why=str(error))
    except Exception:  # noqa: BLE001 - see above
        telemetry.failures.labels(stage, "Unexpected").inc()
        # As text: a renderer that shows local variables takes seconds for a model's state.
        trace = traceback.format_exc(limit=-TRACE_DEPTH)
        log.error("one model was passed over", stage=stage, model=str(model), trace=trace)  # noqa: TRY400
