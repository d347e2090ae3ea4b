"""What a run was worth: attainment and cost side by side, never one alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from aurora.simulator.faults import ErrorNoise, Fault
from aurora.simulator.journal import ActionRecord, Journal, Scaling
from aurora.simulator.settings import Objectives, SimulationSettings
from aurora.simulator.trace import Trace
from aurora.simulator.verdicts import VerdictCheck
from aurora.simulator.view import ActionKind

__all__ = ["RunResult", "met_both", "oscillations", "score"]

# A minute violates when more than this share of its requests misses: the objectives are p95s.
_MISS_SHARE = 0.05
_MINUTE_S = 60.0
_STEP_S = 10.0
# Fewer requests than this do not show a recovery.
_EVIDENCE = 20

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The score of one run.

    Attributes:
        controller: its name.
        trace: name of the load.
        seed: of the run.
        requests: arrivals.
        attainment_ttft: share of the requests that met the time to first token, 0 to 1.
        attainment_tpot: share that met the time per output token.
        attainment: share that met both.
        replica_hours: GPU time held, cold starts and draining included.
        violation_minutes: minutes in which more than 5 % of the requests missed an objective.
        oscillations: reversals of direction within two cold starts.
        false_actions: actions outside every fault, and scalings reversed within two cold starts; to
            come back from the fallback once a fault is over is none.
        writes: scalings and other actions.
        failed: requests that got a server error.
        detect_s: from the first fault's start to the next write, seconds; None without one.
        mitigate_s: from its start until at least 95 % of the requests were good, of the next 20 and
            of all for the rest of the fault, seconds; 0 when they were all along, None when they
            never were.
        false_rollbacks: switches to the fallback outside every fault.
        little_error: relative error of Little's law.
        told: what each false action was, in words.
        verdicts: AURORA's Improved and Regressed with the truth; empty for other controllers.
    """

    controller: str
    trace: str
    seed: int
    requests: int
    attainment_ttft: float
    attainment_tpot: float
    attainment: float
    replica_hours: float
    violation_minutes: int
    oscillations: int
    false_actions: int
    writes: int
    failed: int
    detect_s: float | None
    mitigate_s: float | None
    little_error: float
    false_rollbacks: int = 0
    told: tuple[str, ...] = ()
    verdicts: tuple[VerdictCheck, ...] = ()


def score(
    journal: Journal, trace: Trace, controller: str, seed: int, settings: SimulationSettings
) -> RunResult:
    """Score a journal."""
    ttft, tpot = _met(journal, trace, settings.objectives)
    good = ttft & tpot
    two_cold_starts = 2 * settings.cold_start.median_s
    reversals = oscillations(journal.scalings, two_cold_starts)
    faults = [fault for fault in settings.faults if not isinstance(fault, ErrorNoise)]
    outside = [s for s in reversals if not _during(s.at, faults)]
    stray = _stray(journal.actions, faults)
    fault = faults[0] if faults else None
    return RunResult(
        controller=controller,
        trace=trace.name,
        seed=seed,
        requests=journal.arrived,
        attainment_ttft=_share(ttft),
        attainment_tpot=_share(tpot),
        attainment=_share(good),
        replica_hours=journal.replica_seconds / 3600.0,
        violation_minutes=_violations(trace, good),
        oscillations=len(reversals),
        false_actions=len(outside) + len(stray),
        writes=len(journal.scalings) + len(journal.actions),
        failed=sum(outcome.failed for outcome in journal.outcomes),
        detect_s=_detect(journal, fault) if fault else None,
        mitigate_s=_mitigate(trace, good, fault) if fault else None,
        little_error=journal.little.relative_error,
        false_rollbacks=sum(a.action.kind is ActionKind.ROUTE_TO_FALLBACK for a in stray),
        told=(
            *(f"{s.before} to {s.after} replicas at {s.at:.0f} s, reversed" for s in outside),
            *(f"{a.action.kind.value} at {a.at:.0f} s: {a.action.reason}" for a in stray),
        ),
    )


def oscillations(scalings: Sequence[Scaling], within_s: float) -> list[Scaling]:
    """List the scalings that reverse the one before within a time, seconds."""
    return [
        later
        for earlier, later in pairwise(scalings)
        if later.direction != earlier.direction and later.at - earlier.at <= within_s
    ]


def met_both(journal: Journal, trace: Trace, objectives: Objectives) -> Mask:
    """Tell per request whether it met both objectives."""
    ttft, tpot = _met(journal, trace, objectives)
    return ttft & tpot


def _met(journal: Journal, trace: Trace, objectives: Objectives) -> tuple[Mask, Mask]:
    """Tell per request whether it met each objective; failed and unfinished ones met none."""
    ttft, tpot = np.zeros(len(trace), dtype=bool), np.zeros(len(trace), dtype=bool)
    for outcome in journal.outcomes:
        if outcome.first_token is None:
            continue
        request = outcome.request
        ttft[request.identifier] = outcome.first_token - request.arrival <= objectives.ttft_s
        gaps = request.output_tokens - 1
        spent = outcome.finish - outcome.first_token
        tpot[request.identifier] = spent <= objectives.tpot_s * gaps or gaps == 0
    return ttft, tpot


def _share(mask: Mask) -> float:
    return float(mask.mean()) if mask.size else 1.0


def _violations(trace: Trace, good: Mask) -> int:
    minutes = (trace.times // _MINUTE_S).astype(np.int64)
    arrived, bad = np.bincount(minutes), np.bincount(minutes, ~good)
    return int(np.sum(bad > _MISS_SHARE * arrived))


def _during(at: float, faults: Sequence[Fault]) -> bool:
    return any(fault.start <= at <= fault.end for fault in faults)


def _stray(actions: Sequence[ActionRecord], faults: Sequence[Fault]) -> list[ActionRecord]:
    """Actions outside every fault, but for the way back from a switch that a fault called for."""
    found, called_for = [], False
    for one in actions:
        inside = _during(one.at, faults)
        if one.action.kind is ActionKind.ROUTE_TO_FALLBACK:
            called_for = inside
        returns = one.action.kind is ActionKind.ROUTE_BACK and called_for
        if not inside and not returns:
            found.append(one)
    return found


def _detect(journal: Journal, fault: Fault) -> float | None:
    times = [s.at for s in journal.scalings] + [a.at for a in journal.actions]
    after = [at for at in times if fault.start <= at <= fault.end]
    return min(after) - fault.start if after else None


def _mitigate(trace: Trace, good: Mask, fault: Fault) -> float | None:
    """Find from when on the requests are good until the fault ends, in steps of 10 s.

    A single good minute is no recovery: a lull is good by itself. Nor is a good rest alone: in a
    long fault it would forgive the bad minutes that it begins with.
    """
    for begin in np.arange(fault.start, fault.end, _STEP_S):
        left = (trace.times >= begin) & (trace.times < fault.end)
        rest = good[left]
        if rest.size < _EVIDENCE:
            return None
        if min(_share(rest), _share(rest[:_EVIDENCE])) >= 1 - _MISS_SHARE:
            return float(begin - fault.start)
    return None
