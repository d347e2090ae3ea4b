"""What a router has to know of a RoutingPolicy, as the document that `aurora router` reads. Pure.

The shape is `aurora.router.policy.Policy`; constraints and providers have the routing engine's own
keys. Measured figures move in every cycle; they are told anew when one changed much.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from aurora.executor.routing_status import MUCH
from aurora.observe.backends import BackendFacts
from aurora.observe.sample import Signal
from aurora.planner.routing.audit import GPU_MISMATCH, violations
from aurora.planner.routing.given import RoutingInput
from aurora.resources.router_spec import RouterExperiment, RouterStrategy
from aurora.resources.routing_policy import RoutingPolicySpec
from aurora.resources.routing_policy_parts import Constraints, Enforcement, Strategy
from aurora.routing.types import MOST_FIGURE

__all__ = ["MOST_BYTES", "Json", "as_told", "router_document", "text_of"]

Json = dict[str, Any]
MOST_BYTES: Final = 900_000
"""Of the text: a ConfigMap holds 1 MiB with its metadata. Learned state beyond it is left out."""
_LATENCY: Final = "latency_ms"
_STATE: Final = "state"
_POOLING: Final = {RouterStrategy.THOMPSON.value, RouterStrategy.UCB.value}


def router_document(given: RoutingInput, learned: Mapping[str, Any] | None = None) -> Json:
    """The document of one policy now.

    Args:
        given: the policy with what was observed.
        learned: learned state in the routing engine's format; left out where another strategy
            learned it, since the router's could not read it.
    """
    spec, router = given.spec, given.spec.router
    if router is None:
        raise ValueError("the policy feeds no router")
    strategy = _strategy(spec)
    made: Json = {
        "strategy": strategy,
        "minPercent": spec.exploration.min_percent,
        "strictAudit": spec.constraints.enforcement is Enforcement.STRICT,
        "constraints": _constraints(spec.constraints),
        "providers": [_provider(one, given) for one in _candidates(given)],
    }
    if router.experiment is not None:
        made["experiment"] = _experiment(router.experiment)
    if _pools(spec):
        made["strategyOptions"] = {"per_state": False}
    if learned is not None and learned.get("strategy") == strategy:
        whole = {**made, _STATE: dict(learned)}
        if len(text_of(whole).encode()) <= MOST_BYTES:
            return whole
    return made


def text_of(document: Json) -> str:
    """The content of the file; the same document is always the same text."""
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False)


def as_told(made: Json, told: Json, *, measured: bool) -> Json:
    """With figures as they were told last, where a reader would act no differently on the new ones.

    Args:
        made: the document now.
        told: the document that routers have.
        measured: whether a latency that changed by a quarter may be told anew.
    """
    before = _latencies(told)
    providers = []
    for one in made["providers"]:
        known, new = before.get(one["provider_id"], _NEVER), one.get(_LATENCY)
        keeps = known is not _NEVER and not (measured and _moved(known, new))
        providers.append(_with(one, _LATENCY, known if keeps else new))
    kept = {**made, "providers": providers}
    state = _newer(made.get(_STATE), told.get(_STATE))
    return _with(kept, _STATE, state)


_NEVER: Final = object()


def _with(made: Json, name: str, value: Any) -> Json:
    """With the value, or without the name where there is none."""
    rest = {key: one for key, one in made.items() if key != name}
    return rest if value is None else {**rest, name: value}


def _latencies(told: Json) -> dict[str, float | None]:
    """The latencies that routers have; anybody may have edited them, so only those that are."""
    providers = told.get("providers")
    return {
        one["provider_id"]: one.get(_LATENCY)
        for one in (providers if isinstance(providers, list) else ())
        if isinstance(one, dict)
        and isinstance(one.get("provider_id"), str)
        and _is_figure(one.get(_LATENCY, 0.0))
    }


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and 0.0 <= value <= MOST_FIGURE


def _newer(new: Json | None, old: Any) -> Json | None:
    """The state told last, until there is a quarter more to tell: it changes with each reward."""
    if new is None or not isinstance(old, dict) or new["strategy"] != old.get("strategy"):
        return new
    before, after = old.get("revision"), new["revision"]
    if not isinstance(before, int):
        return new
    grew = after < before or after >= before * (1.0 + float(MUCH))
    return new if grew else old


def _strategy(spec: RoutingPolicySpec) -> str:
    """The policy's own learner by default, whose state a router can then begin with."""
    chosen = spec.router.strategy if spec.router is not None else None
    if chosen is not None:
        return chosen.value
    learns = spec.strategy is Strategy.LEARNED
    return spec.learns.algorithm.value if learns else RouterStrategy.Q_LEARNING.value


def _pools(spec: RoutingPolicySpec) -> bool:
    """Whether a router learns for all requests alike, as the operator, which sees no request."""
    learns = spec.strategy is Strategy.LEARNED
    return learns and _strategy(spec) in _POOLING & {spec.learns.algorithm.value}


def _moved(old: Any, new: Any) -> bool:
    if old is None or new is None:
        return old is not new
    return bool(abs(new - old) > float(MUCH) * max(new, old))


def _candidates(given: RoutingInput) -> list[BackendFacts]:
    """Who may be chosen: who fails its callers is none, unless nobody is left.

    A router knows a request's GPU, not which ones a policy allows: there that one is left out.
    """
    constraints = given.spec.constraints
    strict = constraints.enforcement is Enforcement.STRICT
    open_ = [
        one
        for one in given.backends
        if not (strict and GPU_MISMATCH in violations(one, constraints))
    ]
    return [one for one in open_ if one.name not in given.failures] or open_


def _provider(one: BackendFacts, given: RoutingInput) -> Json:
    """What is known of a backend. Of an outside provider that is what the spec says."""
    spec, found = one.spec, Json(provider_id=one.name)
    if spec.cost_per_replica_hour is not None:
        found["price_usd_per_hour"] = float(spec.cost_per_replica_hour)
    latency = given.measured(one, Signal.LATENCY_P95)
    if latency is not None:
        found[_LATENCY] = float(f"{latency.value * 1000.0:.3g}")
    if spec.region is not None:
        found["regions"] = [spec.region]
    if spec.gpu_type is not None:
        found["gpu_types"] = [spec.gpu_type]
    if one.endpoints is not None and one.ready == 0:
        found["capacity_available"] = False
    return found


def _constraints(limits: Constraints) -> Json:
    found: Json = {}
    if limits.max_cost_per_replica_hour is not None:
        found["max_price"] = float(limits.max_cost_per_replica_hour)
    if limits.max_latency_p95 is not None:
        found["max_latency_ms"] = limits.max_latency_p95.total_seconds() * 1000.0
    if limits.regions:
        found["allowed_regions"] = list(limits.regions)
    return found


def _experiment(one: RouterExperiment) -> Json:
    rules = [
        {"use": list(rule.use), **({"when": rule.when} if rule.when else {})} for rule in one.rules
    ]
    return {"name": one.name, "percent": one.percent, "rules": rules}
