"""Three worlds: one that stays, one that drifts, and one that changes all at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from aurora.routing.types import WorkloadContext

__all__ = ["WORLDS", "Abrupt", "Drifting", "Stationary", "World"]

Floats = NDArray[np.float64]
WORKLOADS: Final = ("chat", "code", "batch")


class World(Protocol):
    """Arms with a mean reward that depends on the request and on the step."""

    @property
    def arms(self) -> tuple[str, ...]: ...

    @property
    def noise(self) -> float:
        """Standard deviation of a reward."""
        ...

    def means(self, context: WorkloadContext, step: int) -> Floats:
        """The true expected reward of every arm."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stationary:
    """Means differ by workload and, in a line, by complexity; nothing changes.

    `seed` makes the world: base means uniform in [0, 1] and slopes in [-0.5, 0.5].
    """

    seed: int = 0
    count: int = 5
    noise: float = 0.3
    _base: Floats = field(init=False, repr=False)
    _slope: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        object.__setattr__(self, "_base", rng.random((len(WORKLOADS), self.count)))
        object.__setattr__(self, "_slope", rng.uniform(-0.5, 0.5, self.count))

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(f"arm-{index}" for index in range(self.count))

    def means(self, context: WorkloadContext, step: int) -> Floats:
        del step
        complexity = 0.5 if context.complexity is None else context.complexity
        base = self._base[WORKLOADS.index(context.workload_type)]
        found: Floats = base + self._slope * (complexity - 0.5)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifting:
    """Every mean follows a sine of its own phase, so the best arm changes slowly.

    `period` in steps, `amplitude` in units of the reward.
    """

    seed: int = 0
    count: int = 5
    noise: float = 0.3
    period: float = 4000.0
    amplitude: float = 0.5
    _start: Stationary = field(init=False, repr=False)
    _phase: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        start = Stationary(seed=self.seed, count=self.count, noise=self.noise)
        phase = np.random.default_rng((self.seed, 1)).uniform(0.0, 2.0 * np.pi, self.count)
        object.__setattr__(self, "_start", start)
        object.__setattr__(self, "_phase", phase)

    @property
    def arms(self) -> tuple[str, ...]:
        return self._start.arms

    def means(self, context: WorkloadContext, step: int) -> Floats:
        swing = self.amplitude * np.sin(2.0 * np.pi * step / self.period + self._phase)
        found: Floats = self._start.means(context, step) + swing
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Abrupt:
    """Every `every` steps the arms change places: what was learned is wrong at once."""

    seed: int = 0
    count: int = 5
    noise: float = 0.3
    every: int = 2000
    _start: Stationary = field(init=False, repr=False)

    def __post_init__(self) -> None:
        start = Stationary(seed=self.seed, count=self.count, noise=self.noise)
        object.__setattr__(self, "_start", start)

    @property
    def arms(self) -> tuple[str, ...]:
        return self._start.arms

    def means(self, context: WorkloadContext, step: int) -> Floats:
        order = np.random.default_rng((self.seed, step // self.every)).permutation(self.count)
        return self._start.means(context, step)[order]


WORLDS: Final[Mapping[str, type[Stationary] | type[Drifting] | type[Abrupt]]] = {
    "stationary": Stationary,
    "drifting": Drifting,
    "abrupt": Abrupt,
}
