"""Learned weights against rules: what the same traffic earns by the weights of either side.

A gateway draws the backend of each request by weight, so a backend's mean reward over a stretch of
time is that of a random sample of all requests, whichever side gave it its weight. The value of a
side in a block is therefore the sum over backends of the side's share times that mean. Both sides
are valued by the same requests, so their difference is paired (Student, Biometrika 6, 1908), and
the shares of a block are fixed before its first request, so nothing that happened in it chose them.

Blocks of five minutes make neighbouring values nearly independent (batch means: Law and Carson,
Operations Research 27, 1979). Interval and p value hold at every look
(`aurora.routing.evaluation.always_valid`): a status is looked at all the time.

What is assumed: a backend's answers do not depend on its share within the range that is tried.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aurora.planner.routing.given import RoutingInput
from aurora.planner.routing.learner import LEAST_REQUESTS, mark_of
from aurora.state.routing_memory import Block, SideMoments, Tally, Versus

__all__ = ["BLOCK_S", "compared"]

BLOCK_S: Final = 300.0
DIGITS: Final = 9
"""Of a difference in points: what is left beyond them is rounding, which can lean to one side."""
LONGEST_S: Final = 3600.0
"""A block waits so long for a backend that a side uses and that has too few requests."""


def compared(
    versus: Versus,
    given: RoutingInput,
    fresh: Mapping[str, Tally],
    *,
    sides: tuple[Mapping[str, float], Mapping[str, float]],
) -> Versus:
    """The comparison after one cycle.

    Args:
        versus: so far.
        given: the policy in this cycle.
        fresh: what backends answered in the windows that this cycle took in.
        sides: shares that the learned side and the rules want now, each summing to 1.
    """
    mark = _mark(given)
    if versus.mark != mark:
        versus = Versus(mark)
    block = versus.block
    if block is None:
        return replace(versus, block=_block(given, sides))
    known = {name: block.tallies.get(name, Tally()) + one for name, one in fresh.items()}
    block = replace(block, tallies={**block.tallies, **known})
    lasted = given.at - block.began
    if 0.0 <= lasted < BLOCK_S:
        return replace(versus, block=block)
    if _valued(block):
        return replace(_closed(versus, block), block=_block(given, sides))
    if 0.0 <= lasted < LONGEST_S:
        return replace(versus, block=block)
    return replace(versus, block=_block(given, sides))


def _mark(given: RoutingInput) -> str:
    """What is compared; the percentage is not part of it: it changes neither side's weights."""
    spec = given.spec
    backends = [one.model_dump(mode="json") for one in spec.backends]
    learning = spec.learns.model_dump(mode="json", exclude={"percent"})
    return mark_of(backends, learning, spec.exploration.model_dump(mode="json"))


def _block(
    given: RoutingInput, sides: tuple[Mapping[str, float], Mapping[str, float]]
) -> Block | None:
    """A new block; none while a side has no weights."""
    learned, rules = (dict(side) for side in sides)
    return Block(given.at, learned, rules) if learned and rules else None


def _valued(block: Block) -> bool:
    """Whether every backend that a side uses answered enough requests."""
    used = {name for side in (block.learned, block.rules) for name, part in side.items() if part}
    return all(block.tallies.get(name, Tally()).requests >= LEAST_REQUESTS for name in used)


def _closed(versus: Versus, block: Block) -> Versus:
    learned, rules = _value(block, block.learned), _value(block, block.rules)
    return replace(
        versus,
        since=block.began if versus.since is None else versus.since,
        learned=_with(versus.learned, learned),
        rules=_with(versus.rules, rules),
        difference=versus.difference.add(round(learned.points - rules.points, DIGITS)),
    )


def _value(block: Block, side: Mapping[str, float]) -> Tally:
    """The mean request of a side."""
    total = Tally()
    for name, part in side.items():
        if part:
            one = block.tallies[name]
            share = part / one.requests
            total += Tally(part, one.points * share, one.failures * share, one.seconds * share)
    return total


def _with(side: SideMoments, one: Tally) -> SideMoments:
    return SideMoments(
        side.reward.add(one.points), side.failures.add(one.failures), side.seconds.add(one.seconds)
    )
