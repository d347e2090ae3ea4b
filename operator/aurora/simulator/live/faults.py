"""Faults that are injected into the live fleet: asked for in JSON, checked, dated."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from aurora.errors import UsageError
from aurora.simulator.faults import (
    ErrorFault,
    Fault,
    LatencyFault,
    LoadStep,
    MetricsGone,
    PodLoss,
    RepeatedPrompts,
)

__all__ = ["FaultBook", "Injected", "parse_request"]

LONGEST_S: Final = 86_400.0
MOST_PROMPTS: Final = 100_000
_FIELDS: Final = frozenset(
    {"model", "deployment", "service", "namespace", "kind", "value", "distinct", "in_s", "for_s"}
)
_TARGETS: Final = ("model", "deployment", "service")
_F = TypeVar("_F", bound=Fault)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of fault is asked for; `lowest` and `highest` bound its value.

    Attributes:
        make: start, end and value to the fault.
        unit: what the value is, for messages; empty when it takes none.
        default: the value when none is given; None when one must be.
    """

    make: Callable[[float, float, float], Fault]
    unit: str
    lowest: float
    highest: float
    default: float | None = None


_KINDS: Final[Mapping[str, _Kind]] = {
    "latency": _Kind(LatencyFault, "a factor on the time of each step", 1.0, 100.0),
    "errors": _Kind(ErrorFault, "a share of the requests", 0.0, 1.0),
    "repeats": _Kind(RepeatedPrompts, "a share of the requests", 0.0, 1.0),
    "load": _Kind(LoadStep, "a factor on the arrivals", 0.0, 50.0),
    "metrics-gone": _Kind(lambda start, end, _: MetricsGone(start, end), "", 0.0, 1.0, 1.0),
    "crash": _Kind(
        lambda start, end, value: PodLoss(start, end, int(value)), "a number of pods", 1, 1000, 1000
    ),
}


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault and what it hits: the Deployment and the Service called `name`.

    Attributes:
        kind: as it was asked for.
        value: likewise.
        fault: what happens, and when, in seconds of the fleet's clock.
    """

    identifier: int
    namespace: str
    name: str
    kind: str
    value: float
    fault: Fault

    def active(self, now: float) -> bool:
        return self.fault.start <= now < self.fault.end


def parse_request(
    document: Any, *, identifier: int, now: float, known: Collection[tuple[str, str]]
) -> Injected:
    """Check a request such as {"model": "llama", "kind": "errors", "value": 0.3, "for_s": 60}.

    Args:
        document: the decoded JSON.
        identifier: number of the new fault.
        now: the time, seconds; it begins `in_s` later.
        known: namespace and name of what can be hit.

    Raises:
        UsageError: says which field is wrong and what it takes.
    """
    if not isinstance(document, Mapping):
        raise UsageError('a fault is a JSON object such as {"model": "llama", "kind": "errors"}')
    unknown = sorted(str(key) for key in document.keys() - _FIELDS)
    if unknown:
        raise UsageError(f"unknown field {unknown[0]!r}: use {', '.join(sorted(_FIELDS))}")
    namespace, name = _target(document, known)
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UsageError(f"kind {kind!r} is unknown: use one of {', '.join(_KINDS)}")
    length = _number(document, "for_s", 60.0)
    if not 0.0 < length <= LONGEST_S:
        raise UsageError(f"for_s is {length:g}: use seconds above 0 and up to {LONGEST_S:g}")
    wait = _number(document, "in_s", 0.0)
    if not 0.0 <= wait <= LONGEST_S:
        raise UsageError(f"in_s is {wait:g}: use seconds from 0 to {LONGEST_S:g}")
    value = _value(document, kind)
    fault = _KINDS[kind].make(now + wait, now + wait + length, value)
    if "distinct" in document:
        fault = _with_distinct(fault, _number(document, "distinct", 0.0))
    return Injected(identifier, namespace, name, kind, value, fault)


def _with_distinct(fault: Fault, distinct: float) -> Fault:
    if not isinstance(fault, RepeatedPrompts):
        raise UsageError("distinct is for kind repeats only: leave it out")
    if not 1 <= distinct <= MOST_PROMPTS or distinct != int(distinct):
        raise UsageError(f"distinct is {distinct:g}: use a whole number from 1 to {MOST_PROMPTS}")
    return replace(fault, distinct=int(distinct))


def _target(document: Mapping[str, Any], known: Collection[tuple[str, str]]) -> tuple[str, str]:
    named = [field for field in _TARGETS if field in document]
    if len(named) != 1:
        raise UsageError("name exactly one of model, deployment and service")
    name, namespace = document[named[0]], document.get("namespace")
    found = [key for key in known if key[1] == name and namespace in {None, key[0]}]
    if not found:
        names = ", ".join(sorted(f"{space}/{one}" for space, one in known)) or "nothing yet"
        raise UsageError(f"{named[0]} {name!r} is not simulated here: there is {names}")
    if len(found) > 1:
        spaces = ", ".join(sorted(space for space, _ in found))
        raise UsageError(f"{name!r} is in several namespaces ({spaces}): add the field namespace")
    return found[0]


def _value(document: Mapping[str, Any], kind: str) -> float:
    rule = _KINDS[kind]
    if "value" not in document and rule.default is None:
        raise UsageError(f"kind {kind} needs a value: {rule.unit}")
    value = _number(document, "value", rule.default or 0.0)
    inside = rule.lowest <= value <= rule.highest and value > 0.0
    if not inside:
        raise UsageError(
            f"value is {value:g}: kind {kind} takes {rule.unit or 'none'} "
            f"from {rule.lowest:g} to {rule.highest:g}"
        )
    return value


def _number(document: Mapping[str, Any], field: str, default: float) -> float:
    value = document.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{field} is {value!r}: write a number")
    return float(value)


class FaultBook:
    """Every fault of a run, the past ones too: `GET /truth` tells of them."""

    def __init__(self) -> None:
        self._faults: list[Injected] = []

    def __len__(self) -> int:
        return len(self._faults)

    def __iter__(self) -> Iterator[Injected]:
        return iter(self._faults)

    def add(self, injected: Injected) -> None:
        self._faults.append(injected)

    def of(self, key: tuple[str, str], kind: type[_F], now: float) -> _F | None:
        """The fault of a kind that hits `key` (namespace, name) at `now`; the newest of several."""
        for one in reversed(self._faults):
            if (one.namespace, one.name) == key and one.active(now) and isinstance(one.fault, kind):
                return one.fault
        return None
