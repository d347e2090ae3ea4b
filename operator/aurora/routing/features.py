"""A request as a vector, for contextual strategies.

Position 0 is the bias 1. Positions 1 to 3 are complexity, log1p(gpu_hours) and log1p(tokens), each
scaled to about 0..1; an unknown one takes the middle, so that it is not mistaken for a small value.
The categories (workload, GPU, region, task, tenant, capability) share the remaining positions by
signed feature hashing (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning",
ICML 2009): memory stays fixed however many tenants there are, and collisions cancel on average.

The hash is CRC-32, so a vector is the same in every process and a saved policy stays valid.
"""

import math
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aurora.routing.errors import InputError
from aurora.routing.types import WorkloadContext

__all__ = ["DEFAULT_DIMENSION", "FeatureMap"]

DEFAULT_DIMENSION: Final = 16
NUMERIC: Final = 4
UNKNOWN: Final = 0.5
GPU_HOURS_SCALE: Final = math.log1p(100.0)
"""100 GPU hours map to 1; more is allowed and grows slowly."""
TOKENS_SCALE: Final = math.log1p(128_000.0)
"""A full window of 128k tokens maps to 1."""
CACHE_LIMIT: Final = 4096
"""Distinct (field, text) pairs remembered; tenants are hostile input, so the cache is bounded."""


class FeatureMap:
    """Contexts to vectors of one fixed dimension (at least 5).

    Attributes:
        dimension: length of every vector.
    """

    __slots__ = ("_slots", "dimension")

    def __init__(self, dimension: int = DEFAULT_DIMENSION) -> None:
        if dimension <= NUMERIC:
            raise InputError(f"dimension must be at least {NUMERIC + 1}, not {dimension}")
        self.dimension = dimension
        self._slots: dict[tuple[str, str], tuple[int, float]] = {}

    def vector(self, context: WorkloadContext) -> NDArray[np.float64]:
        """A fresh vector; explicit `features` are taken as they are and must fit the dimension."""
        if context.features is not None:
            return self._explicit(context.features)
        values = [0.0] * self.dimension
        values[0] = 1.0
        values[1] = UNKNOWN if context.complexity is None else context.complexity
        values[2] = math.log1p(context.gpu_hours) / GPU_HOURS_SCALE
        tokens = context.token_estimate
        values[3] = UNKNOWN if tokens is None else math.log1p(tokens) / TOKENS_SCALE
        for pair in (
            ("workload_type", context.workload_type),
            ("gpu_type", context.gpu_type),
            ("region", context.region),
            ("task_type", context.task_type),
            ("tenant", context.tenant),
            ("required_capability", context.required_capability),
        ):
            if pair[1]:
                slot, sign = self._slots.get(pair) or self._slot(pair)
                values[slot] += sign
        return np.array(values)

    def _explicit(self, features: tuple[float, ...]) -> NDArray[np.float64]:
        if len(features) != self.dimension:
            raise InputError(
                f"the context has {len(features)} features, the strategy expects {self.dimension}"
            )
        return np.array(features, dtype=np.float64)

    def _slot(self, pair: tuple[str, str]) -> tuple[int, float]:
        if len(self._slots) >= CACHE_LIMIT:
            self._slots.clear()
        hashed = zlib.crc32(f"{pair[0]}={pair[1]}".encode())
        # The lowest bit gives the sign and the others the place, so that the two are independent.
        found = NUMERIC + (hashed >> 1) % (self.dimension - NUMERIC), 1.0 if hashed & 1 else -1.0
        self._slots[pair] = found
        return found
