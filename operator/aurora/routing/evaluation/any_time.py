"""Two policies side by side, looked at again and again while they run."""

import math

from aurora.routing.evaluation.always_valid import always_valid
from aurora.routing.evaluation.comparison import MIN_SAMPLES, Comparison, Moments, Verdict

__all__ = ["compare_at_any_time"]


def compare_at_any_time(
    a: Moments, b: Moments, *, significance_level: float = 0.05, min_samples: int = MIN_SAMPLES
) -> Comparison:
    """`compare` for a report that is read while it grows: its bounds hold at every look at once.

    The difference of two means of n values in all behaves like one mean of n values with the same
    standard error, that of the influence function, so its confidence sequence is that of
    `always_valid` (Waudby-Smith et al., "Time-uniform central limit theory and asymptotic
    confidence sequences", Annals of Statistics 52, 2024, section 3: the effect of a treatment).
    """
    if min(a.count, b.count) < max(2, min_samples):
        return Comparison(a, b, Verdict.TOO_FEW)
    count, difference = a.count + b.count, a.mean - b.mean
    error = math.hypot(a.error or 0.0, b.error or 0.0)
    whole = Moments(count, difference, error**2 * count * (count - 1))
    found = always_valid(whole, significance_level=significance_level, min_samples=2)
    assert found is not None  # at least two values
    verdict = Verdict.NO_DIFFERENCE
    if found.p_value < significance_level:
        verdict = Verdict.A_BETTER if difference > 0.0 else Verdict.B_BETTER
    return Comparison(a, b, verdict, difference, found.lower, found.upper, found.p_value)
