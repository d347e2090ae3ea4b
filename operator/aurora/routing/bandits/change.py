"""Change points: has the mean of an arm moved since it was learned?

Two-sided CUSUM (Page, "Continuous inspection schemes", Biometrika 1954) over standardised
residuals, which restarts the arm as in CUSUM-UCB (Liu, Lee and Shroff, "A change-detection based
framework for piecewise-stationary multi-armed bandit problem", AAAI 2018).
"""

from dataclasses import dataclass

from aurora.routing.errors import InputError

__all__ = ["ChangeTest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTest:
    """A test per arm; its two sums are kept by the caller.

    With `slack` 0.25 and `threshold` 20, in standard deviations, Siegmund's approximation gives one
    false alarm in 300,000 rewards, and a shift by one standard deviation is found after about 27.
    `clip` keeps a single outlier from being a change; `min_samples` lets the mean settle first.
    """

    slack: float = 0.25
    threshold: float = 20.0
    clip: float = 3.0
    min_samples: float = 30.0

    def __post_init__(self) -> None:
        if not 0.0 < self.slack < self.clip or self.threshold <= 0.0:
            raise InputError(
                "a change test needs 0 < slack < clip and a threshold above 0, not "
                f"{self.slack}, {self.clip} and {self.threshold}"
            )

    def step(self, up: float, down: float, residual: float) -> tuple[float, float]:
        """The two sums after a residual, in standard deviations."""
        seen = min(max(residual, -self.clip), self.clip)
        return max(0.0, up + seen - self.slack), max(0.0, down - seen - self.slack)

    def alarm(self, up: float, down: float, samples: float) -> bool:
        return samples >= self.min_samples and max(up, down) > self.threshold
