"""What bandits over states have in common: the table and everything but the distribution."""

from collections.abc import Mapping

from aurora.routing.bandits.change import ChangeTest
from aurora.routing.bandits.options import change_test, fraction
from aurora.routing.bandits.table import ArmTable
from aurora.routing.contract import Snapshot
from aurora.routing.types import Outcome, StateKey, WorkloadContext

__all__ = ["TabularBandit"]

_EVERYWHERE = StateKey("", "", "")


class TabularBandit:
    """Statistics per (state, arm); a request that waits for its reward is remembered as such."""

    def __init__(
        self,
        *,
        discount: float = 1.0,
        change_detection: bool | Mapping[str, float] | ChangeTest = True,
        per_state: bool = True,
    ) -> None:
        self._table = ArmTable(
            discount=fraction("discount", discount), change=change_test(change_detection)
        )
        self._per_state = per_state

    def update(self, context: WorkloadContext, arm: str, reward: float, at: float) -> None:
        del at
        self._table.learn(self._key(context), arm, reward)

    def chosen(self, context: WorkloadContext, arm: str, at: float) -> None:
        """Until its reward comes a decision counts as a try, or a burst would go one way."""
        del at
        self._table.wait(self._key(context), arm, 1.0)

    def outcome(
        self, context: WorkloadContext, arm: str, outcome: Outcome | None, at: float
    ) -> None:
        del outcome, at
        self._table.wait(self._key(context), arm, -1.0)

    def known_arms(self) -> tuple[str, ...]:
        return self._table.arms

    def forget(self, arm: str) -> None:
        self._table.forget(arm)

    def snapshot(self) -> Snapshot:
        return self._table.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        self._table.restore(snapshot)

    def fill(self, snapshot: Snapshot) -> int:
        return self._table.fill(snapshot)

    def status(self) -> Mapping[str, float]:
        return {"states": float(len(self._table)), "changes": float(self._table.changes)}

    def _key(self, context: WorkloadContext) -> StateKey:
        return context.state_key if self._per_state else _EVERYWHERE
