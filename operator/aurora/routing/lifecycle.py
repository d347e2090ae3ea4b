"""What an engine does besides routing: tell, save, load, stop; I/O with its async twin."""

import os
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aurora.routing.auditor import Auditor
from aurora.routing.contract import RoutingStrategy, TeachableStrategy
from aurora.routing.decision import RoutingDecision
from aurora.routing.errors import InputError
from aurora.routing.executor import Executor
from aurora.routing.psi_field import PsiField
from aurora.routing.reward import Reward
from aurora.routing.strategist import Strategist

__all__ = ["Lifecycle"]


class Lifecycle:
    """The part of `RoutingEngine` that is off the path of a decision, all I/O among it."""

    auditor: Auditor
    executor: Executor
    strategist: Strategist
    psi_field: PsiField
    model_path: str | os.PathLike[str] | None
    _auto_save: bool
    _lock: threading.Lock

    def explain(self, decision_id: str) -> Reward | None:
        """The reward of a decision with every term; None while feedback is pending.

        Raises:
            UnknownDecisionError: never made here, or too old.
        """
        with self._lock:
            return self.executor.explain(decision_id)

    def is_pending(self, decision_id: str) -> bool:
        """Whether a decision still waits for its feedback.

        Raises:
            UnknownDecisionError: never made here, or too old.
        """
        with self._lock:
            return self.executor.find(decision_id).pending

    def decisions(self, limit: int | None = None) -> list[RoutingDecision]:
        """The decision log, oldest first, for off-policy evaluation and export."""
        with self._lock:
            return list(self.executor.recent(limit))

    def get_audit_trail(
        self, limit: int | None = 100, *, after: int | None = None
    ) -> list[dict[str, Any]]:
        """The auditor's trail, safe to call while other threads decide."""
        with self._lock:
            return self.auditor.get_audit_trail(limit, after=after)

    async def fetch_psi_metrics(self) -> dict[str, float | None] | None:
        """Ask the psi field now; None when there is none or it has no usable answer."""
        # Imported late: it brings 7 MB, and who awaits this has it already.
        import asyncio

        reading = await asyncio.to_thread(self.psi_field.poll)
        return None if reading is None else reading.to_dict()

    def snapshot(self) -> dict[str, Any]:
        """All learned state as plain JSON values, for another engine's `restore`."""
        with self._lock:
            strategy = self.strategist.strategy
            return {"strategy": strategy.name, "state": strategy.snapshot()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Replace all learned state by another engine's `snapshot`.

        Raises:
            InputError: it is none, or another strategy learned it; nothing was changed.
        """
        with self._lock:
            self._same_strategy(snapshot).restore(snapshot.get("state") or {})

    def fill(self, snapshot: Mapping[str, Any]) -> int:
        """Take from another engine's `snapshot` what is not known here; what is known stays.

        Safe to repeat: nothing counts twice. The answer is the number of values taken.

        Raises:
            InputError: it is none, another strategy learned it, or the strategy only takes a state
                as a whole; nothing was changed.
        """
        with self._lock:
            strategy = self._same_strategy(snapshot)
            if not isinstance(strategy, TeachableStrategy):
                raise InputError(f"{strategy.name} takes over a state only before it has one")
            return strategy.fill(snapshot.get("state") or {})

    def _same_strategy(self, snapshot: Mapping[str, Any]) -> RoutingStrategy:
        strategy = self.strategist.strategy
        if snapshot.get("strategy") != strategy.name:
            raise InputError(
                f"the snapshot was learned by {snapshot.get('strategy')}, not {strategy.name}"
            )
        return strategy

    def save(self) -> None:
        """Write the learned state now.

        Raises:
            StateError: it cannot be written.
            InputError: there is no `model_path`.
        """
        self.strategist.save()

    def load(self) -> bool:
        """Replace the learned state by the stored one; False when nothing is stored.

        Raises:
            StateError: it cannot be read.
            InputError: there is no `model_path`.
        """
        return self.strategist.load()

    async def asave(self) -> None:
        """`save` without blocking the event loop."""
        await self.strategist.asave()

    async def aload(self) -> bool:
        """`load` without blocking the event loop."""
        return await self.strategist.aload()

    def close(self) -> None:
        """Stop the background threads; with `auto_save`, save what is left.

        Raises:
            StateError: the last save failed.
        """
        self.psi_field.close()
        self.strategist.close(save=self._auto_save)

    async def aclose(self) -> None:
        """`close` without blocking the event loop."""
        import asyncio

        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
