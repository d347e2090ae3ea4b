"""The exploration floor: every strategy, greedy ones too, is mixed with a uniform share.

With floor f (percent / 100), strategy probabilities p and the set A of arms that pass the audit

    final(i) = (1 - f) p(i) + f / |A|   for i in A
    final(i) = (1 - f) p(i)             otherwise (advisory mode only; strict mode removed those)

so each arm that passes has at least f / |A|, and an importance weight against this log is bounded
by |A| / f. The floor is a share of all requests, not of each arm, so it has a meaning for 10,000
arms too. Only what was drawn from `final` may be logged as its propensity: the draw and the
propensity therefore stand here side by side.
"""

from collections.abc import Sequence

from aurora.routing.errors import RoutingError

__all__ = ["draw", "final_probabilities", "shared_best"]

TOLERANCE = 1e-6
"""How far the probabilities of a strategy may be from summing to 1, for rounding."""


def draw(
    probabilities: Sequence[float], floor: float, passing: Sequence[int], uniform: float
) -> tuple[int, float]:
    """What one number, uniform in [0, 1), selects from the final mixture.

    Args:
        probabilities: of the strategy.
        floor: 0 to 1; without passing arms there is none.
        passing: indices of the arms that pass the audit, in rising order.
        uniform: the number.

    Returns:
        The index and `final(index)`.

    Raises:
        RoutingError: the strategy's probabilities do not sum to 1 (NaN included).
    """
    if not -TOLERANCE < sum(probabilities) - 1.0 < TOLERANCE:
        raise RoutingError("the strategy gave probabilities that do not sum to 1; report its state")
    count = len(passing)
    if not count:
        index = _walk(probabilities, uniform)
        return index, probabilities[index]
    if uniform < floor:
        index = passing[int(uniform / floor * count)]
    else:
        index = _walk(probabilities, (uniform - floor) / (1.0 - floor))
    propensity = (1.0 - floor) * probabilities[index]
    # All arms passing is the common case, and a look through 10,000 indices is not free.
    if count == len(probabilities) or index in passing:
        propensity += floor / count
    return index, propensity


def _walk(probabilities: Sequence[float], rest: float) -> int:
    last = 0
    for index, probability in enumerate(probabilities):
        if probability > 0.0:
            rest -= probability
            if rest < 0.0:
                return index
            last = index
    # Rounding can leave a crumb past the end; it belongs to the last arm that was possible.
    return last


def final_probabilities(
    probabilities: Sequence[float], floor: float, passing: Sequence[int]
) -> list[float]:
    """The whole final mixture, in the order of the arms."""
    if not passing:
        return list(probabilities)
    keep, share = 1.0 - floor, floor / len(passing)
    mixed = [keep * probability for probability in probabilities]
    for index in passing:
        mixed[index] += share
    return mixed


def shared_best(scores: list[float]) -> list[float]:
    """All probability on the best score; ties share."""
    best = max(scores)
    share = 1.0 / scores.count(best)
    return [share if score == best else 0.0 for score in scores]
