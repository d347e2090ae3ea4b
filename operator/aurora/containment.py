"""What goes wrong with one model stays with it: the cycle goes on for the others."""

import traceback
from types import TracebackType
from typing import Final

import structlog

from aurora.errors import AuroraError
from aurora.telemetry import Telemetry

__all__ = ["contained"]

log = structlog.get_logger(__name__)

TRACE_DEPTH: Final = 8


class contained:  # noqa: N801 - it is used as a function
    """Log and count what the body raises, and go on after it.

    One of the two places where any exception is caught, besides the loop itself: one object that
    nobody thought of must not keep 9,999 others from being looked after.

    A class, because a generator takes three times as long, and a cycle comes by here for each
    model and stage.

    Args:
        telemetry: counts it, by stage.
        stage: of the cycle.
        model: that it is about, for the log.
    """

    __slots__ = ("_model", "_stage", "_telemetry")

    def __init__(self, telemetry: Telemetry, stage: str, model: object) -> None:
        self._telemetry, self._stage, self._model = telemetry, stage, model

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None:
            return False
        return isinstance(error, Exception) and self._told(error, trace)

    def _told(self, error: Exception, trace: TracebackType | None) -> bool:
        failures, model = self._telemetry.failures, str(self._model)
        if isinstance(error, AuroraError):
            failures.labels(self._stage, type(error).__name__).inc()
            log.warning("one model was passed over", stage=self._stage, model=model, why=str(error))
            return True
        failures.labels(self._stage, "Unexpected").inc()
        # As text: a renderer that shows local variables takes seconds for a model's state.
        found = traceback.format_exception(type(error), error, trace, limit=-TRACE_DEPTH)
        log.error("one model was passed over", stage=self._stage, model=model, trace="".join(found))
        return True
