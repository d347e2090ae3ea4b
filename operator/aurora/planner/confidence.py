"""How the outcomes of similar past cases move a decision's confidence.

The confidence is the mean of a Beta distribution over "this action will help". Its prior has mean
c0, the confidence from the evidence alone, and is worth `PSEUDO_COUNT` observed cases: Beta(k c0,
k (1 - c0)). Each precedent then counts as a part w of one observation (a power prior: Ibrahim and
Chen, Statistical Science 15, 2000), so that with successes s

    confidence = (k c0 + sum(w s)) / (k + sum(w))        w = kernel(similarity) x decay(age) x v

    verdict                s      v
    Improved               1      1
    Neutral                0.5    0.5    it neither helped nor harmed, and an interval that
                                         contains zero says little: half an observation
    Regressed              0      1
    Confounded, NoData     -      0      nothing was learned about the action

kernel(similarity) is 0 up to `SIMILARITY_FLOOR` and rises in a line to 1 at similarity 1.
decay(age) halves every `HALF_LIFE_DAYS`, because engines, prompts and clusters change.

With the defaults eight equal cases weigh as much as the evidence. From c0 = 0.85 (executed, watched
closely) six identical fresh successes reach 0.914 (executes); two identical regressions give 0.68
(waits for a person).
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from aurora.planner.cases import Precedent

__all__ = ["HALF_LIFE_DAYS", "PSEUDO_COUNT", "SIMILARITY_FLOOR", "confidence", "weight"]

PSEUDO_COUNT: Final = 8.0
"""Cases that the evidence is worth: one bad outcome must not stop an action, three should."""

HALF_LIFE_DAYS: Final = 14.0
"""Two weekly load cycles; a case of the 30 days kept at most still weighs 0.23."""

SIMILARITY_FLOOR: Final = 0.5
"""Where features differ by about a third of their range on average (see memory/cases.py)."""

_VERDICTS: Final[Mapping[str, tuple[float, float]]] = {
    "Improved": (1.0, 1.0),
    "Neutral": (0.5, 0.5),
    "Regressed": (1.0, 0.0),
}
"""Weight and success of each verdict that says anything."""


def confidence(evidence_confidence: float, precedents: Iterable[Precedent]) -> float:
    """The probability, 0 to 1, that the action helps.

    Args:
        evidence_confidence: 0 to 1, from the evidence alone; what is no number counts as 0.
        precedents: similar cases of the same action. Without any that says something, the
            evidence alone decides.
    """
    prior = _clamped(evidence_confidence)
    seen = helped = 0.0
    for precedent in precedents:
        success = _VERDICTS.get(precedent.verdict, (0.0, 0.0))[1]
        part = weight(precedent)
        seen += part
        helped += part * success
    if seen == 0.0:
        return prior
    return _clamped((PSEUDO_COUNT * prior + helped) / (PSEUDO_COUNT + seen))


def weight(precedent: Precedent) -> float:
    """Which part of one observation a precedent counts as, 0 to 1."""
    informative = _VERDICTS.get(precedent.verdict, (0.0, 0.0))[0]
    above = (precedent.similarity - SIMILARITY_FLOOR) / (1.0 - SIMILARITY_FLOOR)
    age = max(0.0, precedent.age_days)
    return informative * _clamped(above) * math.exp2(-age / HALF_LIFE_DAYS)


def _clamped(value: float) -> float:
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0
