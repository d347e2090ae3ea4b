"""How long a new replica takes until it serves, measured from the target's own pods."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from aurora.observe.facts import PodFacts
from aurora.values import changed, quick

__all__ = ["ColdStart", "ColdStartMemory", "newest_template", "observe_pods"]

DEFAULT_COLD_START_S: Final = 120.0
"""Assumed until three starts were seen: between a small model (median 22.7 s, p90 42 s, 7,531
measured loads) and a 32B model (100 to 135 s); too long only scales up earlier."""
MIN_STARTS: Final = 3
KEPT_STARTS: Final = 20
KEPT_PODS: Final = 1024
"""A workload with more pods than this learns no further starts: the memory is bounded."""
LONGEST_START_S: Final = 3600.0
"""Longer is a pod that became ready again, or a clock that is wrong, not a start."""


@quick
@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds from the creation of a pod until it is ready.

    Attributes:
        p50_s: median.
        p90_s: nine starts of ten are not longer.
        pending_p50_s: the part of it that the pod waited for a node, None while not measured.
        starts: how many were measured with this pod template.
        measured: false while the figures are assumed or of an older pod template.
    """

    p50_s: float = DEFAULT_COLD_START_S
    p90_s: float = DEFAULT_COLD_START_S
    pending_p50_s: float | None = None
    starts: int = 0
    measured: bool = False


@dataclass(frozen=True, slots=True)
class ColdStartMemory:
    """The last starts of one pod template: (seconds to ready, seconds pending or None)."""

    template_hash: str = ""
    starts: tuple[tuple[float, float | None], ...] = ()
    counted: tuple[str, ...] = ()
    assumed: ColdStart = ColdStart()

    def cold_start(self) -> ColdStart:
        """Summarise; what is assumed stands until `MIN_STARTS` were seen."""
        count = len(self.starts)
        if count < MIN_STARTS:
            if count == self.assumed.starts and not self.assumed.measured:
                return self.assumed
            return changed(self.assumed, starts=count, measured=False)
        total = sorted(s for s, _ in self.starts)
        pending = sorted(p for _, p in self.starts if p is not None)
        return ColdStart(
            _quantile(total, 0.5),
            _quantile(total, 0.9),
            _quantile(pending, 0.5) if pending else None,
            count,
            measured=True,
        )


def newest_template(pods: Iterable[PodFacts]) -> str:
    """The template of the pod that was made last: pods name it otherwise than their workload."""
    newest = max(pods, key=lambda pod: pod.created_at, default=None)
    return newest.template_hash if newest is not None else ""


def observe_pods(
    memory: ColdStartMemory, pods: Iterable[PodFacts], template_hash: str
) -> ColdStartMemory:
    """Count each pod of the current template once, when it is first seen ready.

    A pod that restarted, or is being deleted, says nothing about a start.
    """
    if template_hash != memory.template_hash:
        memory = ColdStartMemory(template_hash, (), memory.counted, memory.cold_start())
    known = frozenset(memory.counted)
    present = [p for p in pods if p.ready or p.uid in known]
    fresh = [p for p in present if p.uid not in known]
    if len(present) > KEPT_PODS or (not fresh and len(present) == len(known)):
        return memory
    counted = tuple(p.uid for p in present)
    found = tuple(s for p in fresh if (s := _start_of(p, template_hash)) is not None)
    starts = (*memory.starts, *found)[-KEPT_STARTS:]
    return replace(memory, starts=starts, counted=counted)


def _start_of(pod: PodFacts, template_hash: str) -> tuple[float, float | None] | None:
    if pod.template_hash != template_hash or pod.restarts or pod.deleting or pod.ready_at is None:
        return None
    total = pod.ready_at - pod.created_at
    if not 0.0 <= total <= LONGEST_START_S:
        return None
    if pod.scheduled_at is None:
        return total, None
    return total, min(max(0.0, pod.scheduled_at - pod.created_at), total)


def _quantile(ordered: list[float], share: float) -> float:
    """Linear between order statistics; `ordered` is not empty."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
