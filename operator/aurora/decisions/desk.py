"""Reads decisions and models from the API server, and writes what a person decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from aurora.decisions.overview import Leader, leader_of
from aurora.decisions.table import newest_first
from aurora.errors import ConflictError, UsageError
from aurora.executor.subjects import Subject, ref_of_object
from aurora.kube.client import KubeClient
from aurora.kube.control import ControlSwitch
from aurora.kube.jsonpatch import ABSENT, Change, guarded, pointer
from aurora.kube.kinds import (
    APPROVAL,
    CONFIG_MAP,
    DECISION,
    LEASE,
    MODEL_DEPLOYMENT,
    ROUTING_POLICY,
    Kind,
    Ref,
)
from aurora.kube.switch import REASON_KEY, STOP_KEY, Switch
from aurora.resources import (
    DecisionObject,
    KubernetesObject,
    MalformedObjectError,
    ModelDeployment,
    RoutingPolicy,
)
from aurora.resources.names import API_VERSION, CONTROL_CONFIGMAP, PAUSED_ANNOTATION
from aurora.resources.vocabulary import ApprovalVerdict, Phase

__all__ = ["LEASE_NAME", "Desk", "Found", "refusal_of"]

FIELD_MANAGER: Final = "aurora-cli"
LEASE_NAME: Final = "aurora-leader"
_REVIEW: Final = Kind(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)
_ATTEMPTS: Final = 3
T = TypeVar("T", bound=KubernetesObject)


@dataclass(frozen=True, slots=True)
class Found:
    """Decisions that were read, the newest first, and what could not be read."""

    decisions: tuple[DecisionObject, ...]
    unreadable: tuple[str, ...] = ()


class Desk:
    """One person's view of one cluster.

    Every method raises a ClusterError when the API server refuses or does not answer.
    """

    def __init__(self, client: KubeClient, *, operator_namespace: str) -> None:
        self._client = client
        self._switch = ControlSwitch(client, namespace=operator_namespace)
        self._control = Ref(CONFIG_MAP, operator_namespace, CONTROL_CONFIGMAP)
        self._lease = Ref(LEASE, operator_namespace, LEASE_NAME)

    async def decisions(self, namespace: str, *, model: str = "") -> Found:
        """Read all Decisions of a namespace, or of all when it is empty."""
        raw = (await self._client.list(DECISION, namespace=namespace)).items
        read, unreadable = _parsed(DecisionObject, raw)
        kept = [one for one in read if not model or one.spec.model_ref.name == model]
        return Found(newest_first(kept), unreadable)

    async def models(self, namespace: str) -> tuple[ModelDeployment, ...]:
        """Read all ModelDeployments of a namespace, or of all when it is empty."""
        raw = (await self._client.list(MODEL_DEPLOYMENT, namespace=namespace)).items
        return tuple(sorted(_parsed(ModelDeployment, raw)[0], key=lambda one: one.key))

    async def decision(self, namespace: str, name: str) -> DecisionObject | None:
        raw = await self._client.get(Ref(DECISION, namespace, name))
        return DecisionObject.parse(raw) if raw is not None else None

    async def model(self, namespace: str, name: str) -> ModelDeployment | None:
        raw = await self._client.get(Ref(MODEL_DEPLOYMENT, namespace, name))
        return ModelDeployment.parse(raw) if raw is not None else None

    async def policy(self, namespace: str, name: str) -> RoutingPolicy | None:
        raw = await self._client.get(Ref(ROUTING_POLICY, namespace, name))
        return RoutingPolicy.parse(raw) if raw is not None else None

    async def switch(self) -> Switch:
        """The kill switch; what cannot be read counts as set."""
        return await self._switch.read()

    async def leader(self) -> Leader | None:
        return leader_of(await self._client.get(self._lease))

    async def answer(
        self, decision: DecisionObject, verdict: ApprovalVerdict, *, reason: str
    ) -> tuple[str, str]:
        """Create an Approval as the user that the API server knows; returns its name and the user.

        It goes with its Decision. The name is the server's: two answers never collide.
        """
        review = await self._client.create(_REVIEW, {"metadata": {}})
        user = str(review["status"]["userInfo"]["username"])
        made = await self._client.create(
            APPROVAL, _approval(decision, verdict, user, reason), field_manager=FIELD_MANAGER
        )
        return str(made["metadata"]["name"]), user

    async def pause(self, found: Subject, *, paused: bool) -> bool:
        """Set or remove the annotation aurora.dev/paused; False when it stood so already."""
        if found.is_paused is paused:
            return False
        annotations = {PAUSED_ANNOTATION: "true" if paused else None}
        await self._client.patch_merge(
            ref_of_object(found),
            {"metadata": {"annotations": annotations, "uid": found.metadata.uid}},
            field_manager=FIELD_MANAGER,
        )
        return True

    async def stop(self, *, stopped: bool, reason: str = "") -> bool:
        """Write the kill switch, making the ConfigMap when it is absent; False when it stood so."""
        for attempt in range(_ATTEMPTS):
            try:
                return await self._stop_once("true" if stopped else "false", reason)
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
        return False

    async def _stop_once(self, wanted: str, reason: str) -> bool:
        found = await self._client.get(self._control)
        data = {STOP_KEY: wanted} | ({REASON_KEY: reason} if reason else {})
        if found is None:
            metadata = {"name": self._control.name, "namespace": self._control.namespace}
            manifest = {"metadata": metadata, "data": data}
            await self._client.create(CONFIG_MAP, manifest, field_manager=FIELD_MANAGER)
            return True
        patch = guarded(
            uid=found["metadata"]["uid"],
            resource_version=found["metadata"]["resourceVersion"],
            changes=_data_changes(found.get("data"), data),
        )
        if not patch:
            return False
        await self._client.patch_json(self._control, patch, field_manager=FIELD_MANAGER)
        return True


def _data_changes(before: dict[str, str] | None, wanted: dict[str, str]) -> tuple[Change, ...]:
    """An old reason goes with the old stop."""
    if before is None:
        return (Change(pointer("data"), ABSENT, wanted),)
    return tuple(
        Change(pointer("data", key), before.get(key, ABSENT), wanted.get(key, ABSENT))
        for key in (STOP_KEY, REASON_KEY)
    )


def _approval(
    decision: DecisionObject, verdict: ApprovalVerdict, user: str, reason: str
) -> dict[str, Any]:
    name, uid = decision.metadata.name, decision.metadata.uid
    owner = {
        "apiVersion": API_VERSION,
        "kind": decision.kind,
        "name": name,
        "uid": uid,
        "blockOwnerDeletion": False,
    }
    spec: dict[str, Any] = {
        "decisionRef": {"name": name, "uid": uid},
        "verdict": verdict.value,
        "approver": user,
    }
    if reason:
        spec["reason"] = reason
    return {
        "apiVersion": API_VERSION,
        "kind": "Approval",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": decision.metadata.namespace,
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def refusal_of(decision: DecisionObject, *, now: datetime) -> UsageError | None:
    """Why the decision cannot be approved or denied any more; None when it can."""
    name, phase = decision.metadata.name, decision.status.phase or Phase.PROPOSED
    if phase is not Phase.AWAITING_APPROVAL:
        return UsageError(
            f"{name} is {phase.value} and awaits no approval: "
            f"`kubectl aurora explain {name}` says what became of it"
        )
    expires = decision.spec.expires_at
    if expires is not None and expires <= now:
        return UsageError(
            f"{name} expired at {expires:%Y-%m-%d %H:%M:%SZ}: AURORA proposes it again if it is "
            "still needed"
        )
    return None


def _parsed(type_: type[T], raw: Sequence[dict[str, Any]]) -> tuple[list[T], tuple[str, ...]]:
    """One object that cannot be read must not hide the others."""
    read, unreadable = [], []
    for one in raw:
        try:
            read.append(type_.parse({"apiVersion": API_VERSION, "kind": type_.kind, **one}))
        except MalformedObjectError as error:
            unreadable.append(str(error))
    return read, tuple(unreadable)
