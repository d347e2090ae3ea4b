"""RoutingPolicies as subjects of the loop: resolved references, endpoints, and who else writes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from aurora.kube.kinds import HTTP_ROUTE
from aurora.observe.backends import BackendFacts, Identity, RoutingFacts
from aurora.observe.facts import EndpointFacts, ObjectKey, WorkloadFacts
from aurora.observe.facts import WorkloadKey as Target
from aurora.observe.fleet import Fleet
from aurora.observe.routerefs import listed_refs, placed, unresolved
from aurora.observe.snapshot import ModelObservation
from aurora.observe.subjects import policy_key
from aurora.resources import ModelDeployment, RoutingPolicy
from aurora.resources.modeldeployment import ModelDeploymentSpec, ModelDeploymentStatus
from aurora.resources.references import ServiceRef, TargetRef
from aurora.resources.routing_policy_parts import Backend
from aurora.resources.serving import Metrics, Triggers

__all__ = ["Behind", "as_subject", "with_policies"]

POOL_GROUP: Final = "inference.networking.k8s.io"
Models = Mapping[ObjectKey, ModelObservation]
Behind = Callable[[str, Mapping[str, str]], tuple[str, str] | None]
"""The workload whose pods a selector of a namespace finds."""


def with_policies(fleet: Fleet, models: Models, behind: Behind, *, at: float) -> Models:
    """The models, told which policies route to them, and the policies as observations.

    Args:
        fleet: what the watches said.
        models: the ModelDeployments as observed.
        behind: finds the workload of a Service.
        at: seconds since the epoch.
    """
    if not len(fleet.policies):
        return models
    services = {
        ObjectKey(key.namespace, one.model.spec.service_ref.name): key
        for key, one in models.items()
    }
    view = _View(fleet, models, services, behind, at)
    policies = sorted(fleet.policies.values(), key=_age)
    found = {policy_key(*policy.key): view.observe(policy, policies) for policy in policies}
    return {**_neighboured(models, found), **found}


def _age(policy: RoutingPolicy) -> tuple[float, str, str]:
    created = policy.metadata.creation_timestamp
    at = created.timestamp() if created else float("inf")
    return at, *policy.key


def _neighboured(models: Models, policies: Models) -> dict[ObjectKey, ModelObservation]:
    routed: dict[ObjectKey, list[ObjectKey]] = {}
    for key, one in policies.items():
        for model in one.neighbours:
            routed.setdefault(model, []).append(key)
    return {
        key: replace(one, neighbours=tuple(routed[key])) if key in routed else one
        for key, one in models.items()
    }


class _View:
    """What is worked out once for all policies."""

    def __init__(
        self,
        fleet: Fleet,
        models: Models,
        services: Mapping[ObjectKey, ObjectKey],
        behind: Behind,
        at: float,
    ) -> None:
        self._fleet, self._models, self._services = fleet, models, services
        self._behind, self._at = behind, at

    def observe(self, policy: RoutingPolicy, policies: list[RoutingPolicy]) -> ModelObservation:
        namespace, ref = policy.metadata.namespace, policy.spec.route_ref
        route = self._fleet.routes.get(ObjectKey(namespace, ref.name)) if ref is not None else None
        listed = listed_refs(route, ref.rule if ref is not None else 0)
        backends = tuple(placed(self._backend(policy, one), listed) for one in policy.spec.backends)
        facts = RoutingFacts(
            policy,
            backends,
            route,
            unresolved(policy, backends, route, listed),
            self._rival(policy, policies),
        )
        return ModelObservation(
            model=as_subject(policy),
            target=_target(facts),
            service=None,
            routing=facts,
            rivals=(ObjectKey(namespace, facts.rival),) if facts.rival else (),
            route=route,
            neighbours=tuple(dict.fromkeys(one.model for one in backends if one.model is not None)),
        )

    def _backend(self, policy: RoutingPolicy, spec: Backend) -> BackendFacts:
        namespace = policy.metadata.namespace
        model = self._model(namespace, spec)
        if spec.model_ref is not None and model is None:
            why = f"ModelDeployment {spec.model_ref.name} does not exist"
            return BackendFacts(spec, problem=why)
        if spec.provider is not None:
            return BackendFacts(spec)
        if spec.inference_pool_ref is not None:
            return self._pool(namespace, spec, model)
        if spec.service_ref is None and model is None:
            return BackendFacts(spec, problem="it names neither Service, pool nor model")
        return self._service(namespace, spec, model)

    def _model(self, namespace: str, spec: Backend) -> ModelObservation | None:
        if spec.model_ref is not None:
            return self._models.get(ObjectKey(namespace, spec.model_ref.name))
        if spec.service_ref is None:
            return None
        key = self._services.get(ObjectKey(namespace, spec.service_ref.name))
        return self._models.get(key) if key is not None else None

    def _pool(self, namespace: str, spec: Backend, model: ModelObservation | None) -> BackendFacts:
        """A pool has no EndpointSlices of its own: its ready pods are its endpoints."""
        ref = spec.inference_pool_ref
        if ref is None or model is None:
            return BackendFacts(spec, problem="an InferencePool needs modelRef")
        pods = [pod for pod in model.pods if not pod.deleting]
        ready = [pod for pod in pods if pod.ready]
        since = None if ready else max((pod.created_at for pod in pods), default=None)
        key = ObjectKey(namespace, ref.name)
        return self._with_model(
            BackendFacts(
                spec,
                Identity(POOL_GROUP, "InferencePool", namespace, ref.name, ref.port),
                endpoints=EndpointFacts(key, len(ready), len(pods), since),
            ),
            model,
        )

    def _service(
        self, namespace: str, spec: Backend, model: ModelObservation | None
    ) -> BackendFacts:
        name, port = self._name_and_port(spec, model)
        key = ObjectKey(namespace, name)
        service = self._fleet.services.get(key)
        if service is None:
            return BackendFacts(spec, problem=f"Service {name} does not exist")
        if port is None and len(service.ports) != 1:
            why = f"Service {name} has {len(service.ports)} ports: use serviceRef with one of them"
            return BackendFacts(spec, problem=why)
        port = service.ports[0].port if port is None else port
        if port not in {one.port for one in service.ports}:
            return BackendFacts(spec, problem=f"Service {name} has no port {port}")
        found = BackendFacts(
            spec,
            Identity("", "Service", namespace, name, port),
            endpoints=self._fleet.endpoints.of(key, at=self._at),
        )
        if model is not None:
            return self._with_model(found, model)
        workload = self._behind(namespace, service.selector) if service.selector else None
        return replace(
            found,
            workload=workload,
            engine=spec.engine.value,
            pods_since=self._pods_since(workload),
        )

    def _name_and_port(
        self, spec: Backend, model: ModelObservation | None
    ) -> tuple[str, int | None]:
        if spec.service_ref is not None:
            return spec.service_ref.name, spec.service_ref.port
        return (model.model.spec.service_ref.name if model is not None else ""), None

    def _with_model(self, found: BackendFacts, model: ModelObservation) -> BackendFacts:
        created = [pod.created_at for pod in model.pods if not pod.deleting]
        return replace(
            found,
            workload=(model.key.namespace, model.model.spec.target_ref.name),
            engine=model.model.spec.engine.value,
            pods_since=min(created, default=None),
            model=model.key,
        )

    def _pods_since(self, workload: tuple[str, str] | None) -> float | None:
        pods = self._fleet.pods.in_group(workload) if workload is not None else ()
        return min((pod.created_at for pod in pods if not pod.deleting), default=None)

    def _rival(self, policy: RoutingPolicy, policies: list[RoutingPolicy]) -> str:
        """Who else writes the weights of the same rule: an older policy, or a model's fallback."""
        ref, namespace = policy.spec.route_ref, policy.metadata.namespace
        if ref is None:
            return ""
        for other in policies:
            if other is policy:
                break
            if other.metadata.namespace == namespace and other.spec.route_ref == ref:
                return f"RoutingPolicy {other.metadata.name}"
        for key, one in self._models.items():
            fallback = one.model.spec.fallback
            if key.namespace == namespace and fallback and fallback.http_route_ref == ref:
                return f"ModelDeployment {key.name}"
        return ""


def _target(facts: RoutingFacts) -> WorkloadFacts | None:
    """The HTTPRoute in the words that the loop has for what it acts on."""
    route = facts.route
    if route is None:
        return None
    count = len(facts.backends)
    ready = sum(one.ready > 0 for one in facts.backends)
    return WorkloadFacts(
        key=Target(HTTP_ROUTE.kind, *route.key),
        api_version=HTTP_ROUTE.api_version,
        uid=route.uid,
        resource_version=route.resource_version,
        generation=0,
        observed_generation=0,
        replicas=count,
        ready_replicas=ready,
        available_replicas=ready,
        updated_replicas=count,
        match_labels={},
        template_hash="",
    )


def as_subject(policy: RoutingPolicy) -> ModelDeployment:
    """The policy in the words that the loop has for what a user asks for.

    The rule is what is looked after: its metadata, autonomy and thresholds are the policy's own,
    and its target is the HTTPRoute. Nothing of it is ever written.
    """
    spec, status = policy.spec, policy.status
    name = spec.route_ref.name if spec.route_ref is not None else policy.metadata.name
    return ModelDeployment(
        metadata=policy.metadata,
        spec=ModelDeploymentSpec(
            target_ref=TargetRef(
                api_version=HTTP_ROUTE.api_version, kind=HTTP_ROUTE.kind, name=name
            ),
            service_ref=ServiceRef(name=name),
            metrics=Metrics(min_samples=spec.metrics.min_samples),
            autonomy=spec.autonomy,
            triggers=Triggers(
                error_rate_percent=spec.health.error_rate_percent,
                no_endpoint_for=spec.health.no_endpoint_for,
            ),
            deletion_policy=spec.deletion_policy,
        ),
        status=ModelDeploymentStatus(
            conditions=status.conditions,
            last_decision=status.last_decision,
            recent_decisions=status.recent_decisions,
        ),
    )
