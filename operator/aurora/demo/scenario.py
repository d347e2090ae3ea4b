"""What happens in the demo: which model gets which fault, when, and what AURORA has to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from aurora.resources.vocabulary import Action, Direction

__all__ = [
    "DEFAULT_FAULTS",
    "EPISODES",
    "LONGEST_S",
    "LONGEST_WAIT_S",
    "MODELS",
    "NAMESPACE",
    "REQUESTED",
    "UNTOUCHED",
    "WARM_S",
    "CallerSignal",
    "Episode",
    "Injection",
    "episodes",
]

NAMESPACE: Final = "demo"
MODELS: Final = ("chat", "assistant", "faq", "search")
UNTOUCHED: Final = "search"
"""Gets no fault and must see no decision at all."""

WARM_S: Final = 20.0
"""Time that every model's metrics must have been there before the first fault, seconds."""
LONGEST_WAIT_S: Final = 150.0
"""A fault waits no longer than this for an action that comes before it, seconds after warm."""
LONGEST_S: Final = 345.0
"""The run ends by then, counted from when it is warm, seconds."""

Move = tuple[Action, Direction]
REQUESTED: Final[frozenset[tuple[str, Move]]] = frozenset({("faq", (Action.CACHE, Direction.ARM))})
"""Actions that a manifest itself asks for, so that they may come without a fault: faq wants its
cache armed, which AURORA does at a calm moment."""


@dataclass(frozen=True, slots=True)
class CallerSignal:
    """What callers feel of a fault; `key` is its name in what the fleet tells."""

    key: str
    title: str
    unit: str


_TTFT: Final = CallerSignal("ttftP95", "TTFT p95", "s")
_LATENCY: Final = CallerSignal("latencyP95", "latency p95", "s")
_ERRORS: Final = CallerSignal("errorRatio", "errors", "%")


@dataclass(frozen=True, slots=True)
class Injection:
    """One order to the fleet; see `POST /faults`."""

    kind: str
    value: float
    for_s: float
    in_s: float = 0.0
    distinct: int | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One fault and the answer to it.

    Attributes:
        fault: its name on the command line and in the tables.
        what: what is done to the model, for people.
        begins_s: after the run is warm, seconds.
        expected: the actions that must have been executed, in this order.
        signal: what callers feel.
        waits_for: an action that has to be judged before the fault begins, so that it is not
            judged by what the fault does; waited for at most `LONGEST_WAIT_S`.
        settle_s: from the execution of the first expected action until callers can feel it.
    """

    fault: str
    model: str
    what: str
    injections: tuple[Injection, ...]
    begins_s: float
    expected: tuple[Move, ...]
    signal: CallerSignal
    settle_s: float
    waits_for: Move | None = None


EPISODES: Final[Mapping[str, Episode]] = MappingProxyType(
    {
        "load": Episode(
            fault="load",
            model="chat",
            what="3 times the load",
            injections=(Injection("load", 3.0, 600.0),),
            begins_s=0.0,
            expected=((Action.SCALE, Direction.UP),),
            signal=_TTFT,
            settle_s=45.0,
        ),
        "errors": Episode(
            fault="errors",
            model="assistant",
            what="40 % server errors for 75 s",
            injections=(Injection("errors", 0.4, 75.0),),
            begins_s=15.0,
            expected=((Action.ROUTE, Direction.FALLBACK), (Action.ROUTE, Direction.PRIMARY)),
            signal=_ERRORS,
            settle_s=5.0,
        ),
        "repeats": Episode(
            fault="repeats",
            model="faq",
            what="half the speed while 70 % of the prompts repeat",
            injections=(
                Injection("repeats", 0.7, 600.0, distinct=12),
                Injection("latency", 2.0, 600.0, in_s=25.0),
            ),
            begins_s=30.0,
            expected=((Action.CACHE, Direction.ON),),
            signal=_LATENCY,
            settle_s=15.0,
            waits_for=(Action.CACHE, Direction.ARM),
        ),
    }
)
DEFAULT_FAULTS: Final = ("load", "errors", "repeats")
"""Faults that are injected when nothing else is asked for, in this order."""


def episodes(count: int | None = None) -> tuple[Episode, ...]:
    """The episodes of a run: the first `count`, or the default ones."""
    names = DEFAULT_FAULTS if count is None else tuple(EPISODES)[:count]
    return tuple(EPISODES[name] for name in names)
