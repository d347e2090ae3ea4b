"""Installs AURORA into the demo's cluster and applies the four models."""

import asyncio
import time
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, Final

import yaml

from aurora.demo.errors import DemoError
from aurora.demo.scenario import NAMESPACE
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.kinds import (
    CONFIG_MAP,
    CUSTOM_KINDS,
    DEPLOYMENT,
    MODEL_DEPLOYMENT,
    SERVICE,
    Kind,
    ref_of,
)
from aurora.resources.admission import policies
from aurora.resources.names import CONTROL_CONFIGMAP, OPERATOR_NAMESPACE
from aurora.resources.schema import custom_resource_definitions

__all__ = ["install", "manifests"]

FIELD_MANAGER: Final = "aurora-demo"
SERVED_S: Final = 20.0
_ADMISSION: Final = "admissionregistration.k8s.io"
_REVIEW: Final = Kind(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)
_KINDS: Final = {
    kind.kind: kind
    for kind in (
        DEPLOYMENT,
        SERVICE,
        CONFIG_MAP,
        MODEL_DEPLOYMENT,
        Kind("", "v1", "namespaces", "Namespace", namespaced=False),
        Kind(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            namespaced=False,
        ),
        Kind(
            _ADMISSION,
            "v1",
            "validatingadmissionpolicies",
            "ValidatingAdmissionPolicy",
            namespaced=False,
        ),
        Kind(
            _ADMISSION,
            "v1",
            "validatingadmissionpolicybindings",
            "ValidatingAdmissionPolicyBinding",
            namespaced=False,
        ),
    )
}


def manifests() -> Iterator[dict[str, Any]]:
    """The models of the demo as they stand in manifests/demo, in order of file name."""
    folder = resources.files("aurora.demo") / "manifests"
    for path in sorted(folder.iterdir(), key=lambda one: one.name):
        if path.name.endswith(".yaml"):
            yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


async def install(connection: Connection) -> None:
    """Install definitions, admission policies for this user, namespaces, switch and models.

    Raises:
        ClusterError: the API server refused something.
        DemoError: the definitions were not served in time.
    """
    async with KubeClient(connection) as client:
        for definition in custom_resource_definitions():
            await _apply(client, definition)
        review = await client.create(_REVIEW, {"metadata": {}})
        user = review["status"]["userInfo"]["username"]
        for policy in policies(operators=[user]):
            await _apply(client, policy)
        for name in (OPERATOR_NAMESPACE, NAMESPACE):
            await _apply(client, {"kind": "Namespace", "metadata": {"name": name}})
        await _apply(client, _control())
    await _eventually(lambda: _served(connection), "the custom resources were not served")
    async with KubeClient(connection) as client:
        for manifest in manifests():
            await _apply(client, manifest)


def _control() -> dict[str, Any]:
    metadata = {"name": CONTROL_CONFIGMAP, "namespace": OPERATOR_NAMESPACE}
    return {"kind": "ConfigMap", "metadata": metadata, "data": {"stop": "false"}}


async def _apply(client: KubeClient, manifest: dict[str, Any]) -> None:
    kind = _KINDS[manifest["kind"]]
    existing = await client.get(ref_of(kind, manifest))
    await client.apply(kind, manifest, field_manager=FIELD_MANAGER, existing=existing)


async def _served(connection: Connection) -> bool:
    # A new client each time: what is served is remembered for minutes.
    async with KubeClient(connection) as client:
        return all([await client.served(kind) for kind in CUSTOM_KINDS])


async def _eventually(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SERVED_S
    while not await holds():
        if time.monotonic() > deadline:
            raise DemoError(f"{what} within {SERVED_S:g} s: try again, or look at the logs")
        await asyncio.sleep(0.1)
