"""Means over seeds with 95 % confidence intervals (Student's t), and Little's law."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aurora.errors import AuroraError

__all__ = ["Estimate", "LittleLaw", "LittleLawError", "estimate"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: NaN without a value.
        half_width: half of the 95 % confidence interval; NaN below two values.
        count: values behind it.
    """

    mean: float
    half_width: float
    count: int


def estimate(values: Sequence[float]) -> Estimate:
    """Estimate the mean of independent values with a 95 % t interval."""
    count = len(values)
    if count == 0:
        return Estimate(math.nan, math.nan, 0)
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, math.nan, 1)
    # Imported here: it takes over a second of CPU, which no other command should pay for.
    from scipy import stats

    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    quantile = float(stats.t.ppf(0.975, count - 1))
    return Estimate(mean, quantile * math.sqrt(variance / count), count)


class LittleLawError(AuroraError):
    """A run breaks Little's law: the simulator, not the controller, is wrong."""


@dataclass(frozen=True, slots=True)
class LittleLaw:
    """Mean number in the system, once counted and once from the time each request spent in it.

    The count is read from the servers' own queues about once a second; the times come from the
    outcomes. The two paths share no bookkeeping.

    Attributes:
        counted: mean of the sampled number in the system (L).
        expected: arrival rate times mean time in the system (lambda W).
    """

    counted: float
    expected: float

    @property
    def relative_error(self) -> float:
        """Difference relative to the larger one; 0 for an empty system."""
        larger = max(self.counted, self.expected)
        return abs(self.counted - self.expected) / larger if larger > 0 else 0.0

    def check(self, tolerance: float, samples: int) -> None:
        """Raise when the two differ by more than the tolerance and the noise of the samples.

        Raises:
            LittleLawError: the law is broken.
        """
        # A number in the system of mean L that was sampled n times is known to about
        # 2 sqrt(L / n) when the samples are independent; neighbours are not, hence the 4.
        noise = 4.0 * math.sqrt(max(self.counted, self.expected) / max(1, samples))
        if abs(self.counted - self.expected) > tolerance * self.expected + noise:
            raise LittleLawError(
                f"Little's law fails: {self.counted:.3f} requests in the system on average, "
                f"but arrival rate times time in system is {self.expected:.3f}"
            )
