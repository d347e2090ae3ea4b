"""kopf's part: one event handler per kind that fills the fleet, and nothing else.

No index, timer, daemon or diff handler: on 10,000 objects `@kopf.index` let no handler run for
280 s and timers took 27 s for a round, while these handlers took all in 8 s.
"""

import logging
from collections.abc import Callable
from typing import Any

import kopf

from aurora.errors import ConfigurationError, ForbiddenError
from aurora.handlers.loop import ControlLoop, StalledError
from aurora.kube import kinds
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.kinds import Kind
from aurora.observe.facts import ObjectKey
from aurora.observe.fleet import Fleet
from aurora.observe.projections import key_of

__all__ = ["may_list", "register", "served_kinds"]

log = logging.getLogger(__name__)


async def served_kinds(
    client: KubeClient, *, clusterwide: bool = True, namespaces: tuple[str, ...] = ()
) -> tuple[Kind, ...]:
    """Kinds to watch on this cluster, which the Fleet has to be made with.

    RoutingPolicies are left out, and people told, where RBAC does not let this process list them:
    an installation without them keeps on looking after its models.

    Raises:
        ConfigurationError: AURORA's own kinds are not installed.
    """
    absent = [kind for kind in kinds.CUSTOM_KINDS if not await client.served(kind)]
    if absent:
        names = ", ".join(str(kind) for kind in absent)
        raise ConfigurationError(f"the API server does not serve {names}: apply the folder crds/")
    optional = {kind for kind in kinds.OPTIONAL_KINDS if not await client.served(kind)}
    if not await may_list(client, kinds.ROUTING_POLICY, namespaces):
        optional.add(kinds.ROUTING_POLICY)
    # The ConfigMap is in the operator's namespace, which may not be one that is worked in.
    unseen = optional if clusterwide else {*optional, kinds.CONFIG_MAP}
    return tuple(kind for kind in kinds.WATCHED_KINDS if kind not in unseen)


async def may_list(client: KubeClient, kind: Kind, namespaces: tuple[str, ...]) -> bool:
    """Whether a kind that came later is served and may be listed; people are told when not."""
    if kind != kinds.ROUTING_POLICY:
        return True
    if not await client.served(kind):
        return False
    try:
        for namespace in namespaces or ("",):
            await client.list(kind, namespace=namespace, metadata_only=True)
    except ForbiddenError as error:
        log.warning("RoutingPolicies are not looked after: %s", error)
        return False
    return True


def register(
    registry: kopf.OperatorRegistry,
    fleet: Fleet,
    *,
    connection: Connection,
    loop: ControlLoop,
) -> None:
    """Put the handlers of one operator into its own registry."""
    for kind in sorted(fleet.watched, key=str):
        _watch(registry, fleet, kind, loop.wake)

    @kopf.on.login(registry=registry, id="login", retries=3, backoff=5)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        found = await connection.credentials()
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_path,
            insecure=found.insecure,
            certificate_path=found.certificate_path,
            private_key_path=found.private_key_path,
            scheme="Bearer" if found.token else None,
            token=found.token,
            proxy_url=found.proxy_url,
            trust_env=found.trust_env,
        )

    @kopf.on.probe(registry=registry, id="secondsSinceLastCycle")
    async def probe(**_: Any) -> float:
        try:
            return round(loop.check(), 1)
        except StalledError as error:
            raise kopf.PermanentError(str(error)) from error


def _watch(
    registry: kopf.OperatorRegistry, fleet: Fleet, kind: Kind, wake: Callable[[], None]
) -> None:
    essence = _ESSENCES.get(kind)

    @kopf.on.event(
        kind.group, kind.version, kind.plural, registry=registry, id=f"fleet-{kind.plural}"
    )
    async def take(event: Any, **_: Any) -> None:
        obj = event["object"]
        if essence is None:
            fleet.apply_event(kind, event["type"], obj)
            return
        key = key_of(obj)
        before = essence(fleet, key) if key else None
        if fleet.apply_event(kind, event["type"], obj) and key and before != essence(fleet, key):
            wake()


def _model_essence(fleet: Fleet, key: ObjectKey) -> object:
    """What a person changes in a ModelDeployment; AURORA's own status writes wake nobody."""
    model = fleet.models.get(key)
    if model is None:
        return None
    metadata = model.metadata
    return metadata.uid, metadata.generation, metadata.deletion_timestamp, model.is_paused


def _policy_essence(fleet: Fleet, key: ObjectKey) -> object:
    """The same of a RoutingPolicy."""
    policy = fleet.policies.get(key)
    if policy is None:
        return None
    metadata = policy.metadata
    return metadata.uid, metadata.generation, metadata.deletion_timestamp, policy.is_paused


def _approval_essence(fleet: Fleet, key: ObjectKey) -> object:
    approval = fleet.approvals.get(key)
    return approval and approval.metadata.uid


def _control_essence(fleet: Fleet, _: ObjectKey) -> object:
    return fleet.control


_ESSENCES: dict[Kind, Callable[[Fleet, ObjectKey], object]] = {
    kinds.MODEL_DEPLOYMENT: _model_essence,
    kinds.ROUTING_POLICY: _policy_essence,
    kinds.APPROVAL: _approval_essence,
    kinds.CONFIG_MAP: _control_essence,
}
