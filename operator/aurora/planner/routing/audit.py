"""Whether a backend keeps to the policy's constraints, in the words of the routing auditor.

The names are the violation types of the routing engine's auditor, so that both report one
vocabulary.
"""

from typing import Final

from aurora.observe.backends import BackendFacts
from aurora.observe.sample import Sample, Signal
from aurora.resources.routing_policy_parts import Constraints

__all__ = ["GPU_MISMATCH", "LATENCY_EXCEEDED", "PRICE_EXCEEDED", "REGION_MISMATCH", "violations"]

PRICE_EXCEEDED: Final = "price_exceeded"
LATENCY_EXCEEDED: Final = "latency_exceeded"
REGION_MISMATCH: Final = "region_mismatch"
GPU_MISMATCH: Final = "gpu_mismatch"


def violations(one: BackendFacts, constraints: Constraints) -> tuple[str, ...]:
    """What a backend violates now.

    What a backend does not declare cannot be shown to keep to a constraint, so it violates it;
    what was not measured does not.
    """
    spec = one.spec
    found = []
    if constraints.max_cost_per_replica_hour is not None:
        cost = spec.cost_per_replica_hour
        if cost is None or cost > constraints.max_cost_per_replica_hour:
            found.append(PRICE_EXCEEDED)
    if constraints.max_latency_p95 is not None:
        reading = one.reading(Signal.LATENCY_P95)
        limit = constraints.max_latency_p95.total_seconds()
        if isinstance(reading, Sample) and reading.value > limit:
            found.append(LATENCY_EXCEEDED)
    if constraints.regions and spec.region not in constraints.regions:
        found.append(REGION_MISMATCH)
    if constraints.gpu_types and spec.gpu_type not in constraints.gpu_types:
        found.append(GPU_MISMATCH)
    return tuple(found)
