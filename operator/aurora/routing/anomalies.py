"""When a stream of rewards looks wrong, on a statistical basis.

Two questions, asked at each reward:

* **Spike**: is the surprise (reward less what was expected) further from the arm's usual surprise
  than `SPIKE_SIGMAS` of its standard deviations? With 6 a normal surprise does so once in 5e8, and
  no distribution with a variance more than once in 36 (Chebyshev). Asked from `MIN_SAMPLES` on.
* **Underperforming**: is the arm's mean advantage (reward less the mean reward of its state) below
  that of all other arms together? Welch's statistic on the two means, one-sided, at `UNDER_Z`
  standard errors (p = 1e-4 for a normal), and by at least `material_gap` reward points, because
  what is certain may still be too small to matter. It is asked at 30, 60, 120, ... rewards of an
  arm, so that looking often does not turn chance into a finding: 20 looks are 15 million rewards,
  and together they raise a false flag for at most 0.2 % of arms. Subtracting the state's mean
  keeps an arm that only gets the hard requests from looking bad (Simpson's paradox).

Means and variances are updated by Welford's method (Technometrics 4, 1962).
"""

import math
from typing import Final, NamedTuple

__all__ = ["AnomalyDetector", "Moments"]

MIN_SAMPLES: Final = 30
SPIKE_SIGMAS: Final = 6.0
UNDER_Z: Final = 3.72
ROUNDING: Final = 1e-9
STATES_LIMIT: Final = 10_000
ARMS_LIMIT: Final = 10_000


class Moments:
    """Count, mean and variance of a stream."""

    __slots__ = ("mean", "n", "squares")

    def __init__(self) -> None:
        self.n = 0
        self.mean = 0.0
        self.squares = 0.0

    def add(self, value: float) -> None:
        self.n += 1
        delta = value - self.mean
        self.mean += delta / self.n
        self.squares += delta * (value - self.mean)

    @property
    def variance(self) -> float:
        """Unbiased; 0 below two values."""
        return self.squares / (self.n - 1) if self.n > 1 else 0.0

    def without(self, part: "Moments") -> "Moments":
        """The moments of the stream less those of a part of it (Chan, Golub and LeVeque, 1979)."""
        rest = Moments()
        rest.n = self.n - part.n
        if rest.n <= 0:
            return rest
        rest.mean = (self.n * self.mean - part.n * part.mean) / rest.n
        gap = part.mean - rest.mean
        between = gap * gap * part.n * rest.n / self.n
        rest.squares = max(0.0, self.squares - part.squares - between)
        return rest


class Arm(NamedTuple):
    surprise: Moments
    advantage: Moments


class AnomalyDetector:
    """Watches rewards by state and arm; memory is bounded and starts anew at the bound.

    Args:
        material_gap: reward points that an arm must lack to underperform; the default is what one
            USD or 500 ms costs with the default weights.
    """

    __slots__ = ("_all", "_arms", "_material", "_states")

    def __init__(self, *, material_gap: float = 1.0) -> None:
        self._material = material_gap
        self._states: dict[tuple[str, str, str], Moments] = {}
        self._arms: dict[str, Arm] = {}
        self._all = Moments()

    def observe(
        self, state_key: tuple[str, str, str], arm: str, reward: float, expected: float | None
    ) -> list[str]:
        """Take one reward in; the notes of what is anomalous about it, usually none."""
        state = self._state(state_key)
        advantage = reward - state.mean if state.n else 0.0
        state.add(reward)
        seen = self._arm(arm)
        spike = None
        if expected is not None:
            spike = _spike(seen.surprise, reward - expected)
            seen.surprise.add(reward - expected)
        seen.advantage.add(advantage)
        self._all.add(advantage)
        return [note for note in (spike, self._under(seen.advantage)) if note is not None]

    def forget(self, arm: str) -> None:
        """Drop an arm that was taken out for good."""
        self._arms.pop(arm, None)

    def _state(self, key: tuple[str, str, str]) -> Moments:
        found = self._states.get(key)
        if found is None:
            if len(self._states) >= STATES_LIMIT:
                self._states.clear()
            found = self._states[key] = Moments()
        return found

    def _arm(self, arm: str) -> Arm:
        found = self._arms.get(arm)
        if found is None:
            if len(self._arms) >= ARMS_LIMIT:
                self._arms.clear()
                self._all = Moments()
            found = self._arms[arm] = Arm(Moments(), Moments())
        return found

    def _under(self, own: Moments) -> str | None:
        if not _is_look(own.n):
            return None
        others = self._all.without(own)
        if others.n < MIN_SAMPLES:
            return None
        error = math.sqrt(own.variance / own.n + others.variance / others.n)
        gap = own.mean - others.mean
        if gap > -self._material or gap >= -UNDER_Z * error:
            return None
        below = -gap / error if error else math.inf
        return (
            f"underperforming: mean advantage {own.mean:.3g} over {own.n} rewards, others "
            f"{others.mean:.3g} over {others.n} ({below:.1f} standard errors below)"
        )


def _spike(usual: Moments, surprise: float) -> str | None:
    if usual.n < MIN_SAMPLES:
        return None
    # A stream without noise has a sigma of 0, and rounding is no spike.
    sigma = max(math.sqrt(usual.variance), ROUNDING * (1.0 + abs(usual.mean)))
    if abs(surprise - usual.mean) <= SPIKE_SIGMAS * sigma:
        return None
    return (
        f"q_value_spike: surprise {surprise:.3g}, usually {usual.mean:.3g} +- {sigma:.2g} "
        f"over {usual.n} rewards"
    )


def _is_look(n: int) -> bool:
    quotient, rest = divmod(n, MIN_SAMPLES)
    return rest == 0 and quotient > 0 and quotient & (quotient - 1) == 0
