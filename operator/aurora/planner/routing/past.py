"""What became of a policy's backends before."""

from dataclasses import dataclass

__all__ = ["BackendPast"]


@dataclass(frozen=True, slots=True)
class BackendPast:
    """Why a backend is given traffic with care.

    Attributes:
        failed_at: when its weight was last taken away because it failed, seconds since the epoch.
        failures: how often that was within the last day.
    """

    failed_at: float
    failures: int
