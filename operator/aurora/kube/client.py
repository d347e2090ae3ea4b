"""The one surface over the Kubernetes API: plain dicts in, plain dicts out.

The library's model classes are not used: they cost many times the time and memory of a dict.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from aurora.errors import ClusterError, ConflictError, NotFoundError
from aurora.kube.connection import Connection
from aurora.kube.counter import RequestObserver
from aurora.kube.discovery import Discovery
from aurora.kube.jsonpatch import Operation
from aurora.kube.kinds import Kind, Ref, ref_of
from aurora.kube.transport import JSON, REQUEST_TIMEOUT_S, Request, Retries, Transport
from aurora.resources.names import FIELD_MANAGER
from aurora.values import changed

__all__ = ["KubeClient", "Listing"]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
VERSION = Kind("", "v1", "version", "Info", namespaced=False)
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Listing:
    """A LIST: what there was at one resourceVersion of the collection."""

    kind: Kind
    resource_version: str
    items: list[dict[str, Any]]


class KubeClient:
    """Reads and writes objects; every refusal is one of `aurora.errors`.

    Writes that have to pass the guardrails go through `aurora.kube.writer.Writer`.
    """

    def __init__(
        self,
        connection: Connection | None = None,
        *,
        observer: RequestObserver | None = None,
        retries: Retries | None = None,
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection or Connection()
        self._transport = Transport(
            self.connection, observer=observer, retries=retries, rng=rng, monotonic=monotonic
        )
        self._discovery = Discovery(self._send, monotonic)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    async def get(
        self, ref: Ref, subresource: str = "", *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> dict[str, Any] | None:
        """Read one object, or None when there is none."""
        path = ref.path(subresource)
        try:
            return await self._send(Request("get", ref.kind, "GET", path, timeout_s=timeout_s))
        except NotFoundError:
            return None

    async def list(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        metadata_only: bool = False,
        chunk: int = 500,
        field_selector: str = "",
    ) -> Listing:
        """Read a whole collection, `chunk` objects a request; 0 asks for all in one.

        The answer is consistent: no resourceVersion is given, so a stale cache is never read.
        When the snapshot behind the chunks expires on the server, all is read again in one.
        """
        accept = METADATA_LIST if metadata_only else JSON
        base = Request("list", kind, "GET", kind.path(namespace), accept=accept)
        try:
            return await self._pages(base, chunk, field_selector)
        except ConflictError:
            return await self._pages(base, 0, field_selector)

    async def _pages(self, base: Request, chunk: int, field_selector: str) -> Listing:
        items: list[dict[str, Any]] = []
        version, token = "", ""
        while True:
            query = [("limit", str(chunk)), ("continue", token), ("fieldSelector", field_selector)]
            page = await self._send(
                Request(
                    base.verb,
                    base.kind,
                    base.method,
                    base.path,
                    query=[(name, value) for name, value in query if value not in {"", "0"}],
                    accept=base.accept,
                )
            )
            items += page.get("items") or []
            metadata = page.get("metadata") or {}
            version = version or metadata.get("resourceVersion", "")
            token = metadata.get("continue", "")
            if not token:
                return Listing(base.kind, version, items)

    async def create(
        self,
        kind: Kind,
        manifest: dict[str, Any],
        *,
        field_manager: str = FIELD_MANAGER,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Create an object.

        Raises:
            ConflictError: it exists already.
        """
        return await self._send(
            Request(
                "create",
                kind,
                "POST",
                kind.path(manifest["metadata"].get("namespace", "")),
                query=[("fieldManager", field_manager)],
                body=manifest,
                timeout_s=timeout_s,
            )
        )

    async def patch_json(
        self,
        ref: Ref,
        operations: Sequence[Operation],
        *,
        subresource: str = "",
        field_manager: str = FIELD_MANAGER,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Patch single fields by JSON Patch; see `aurora.kube.jsonpatch.guarded`.

        Raises:
            ConflictError: a `test` operation does not hold: read and decide again.
            NotFoundError: the object is gone.
        """
        request = Request("patch", ref.kind, "PATCH", ref.path(subresource), body=list(operations))
        return await self._manage(request, field_manager, timeout_s, JSON_PATCH)

    async def patch_merge(  # noqa: PLR0913 - how to write, all by name
        self,
        ref: Ref,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
        field_manager: str = FIELD_MANAGER,
        timeout_s: float = REQUEST_TIMEOUT_S,
        metadata_only: bool = False,
    ) -> dict[str, Any]:
        """Patch by JSON Merge Patch, conditional with `metadata.uid` and `resourceVersion` in it.

        Only for objects of AURORA's own group. Who knows the rest is answered with metadata only.
        """
        accept, path = METADATA if metadata_only else JSON, ref.path(subresource)
        request = Request("patch", ref.kind, "PATCH", path, body=dict(patch), accept=accept)
        return await self._manage(request, field_manager, timeout_s, MERGE_PATCH)

    async def replace(
        self,
        ref: Ref,
        manifest: Mapping[str, Any],
        *,
        subresource: str = "",
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Put a whole object, or its subresource, in the place of what stands there.

        `metadata` has to give the name; with uid and resourceVersion the write is conditional.

        Returns:
            The object's metadata alone, a twentieth cheaper for the API server.

        Raises:
            ConflictError: the object is another one, or was written since.
        """
        body = {"apiVersion": ref.kind.api_version, "kind": ref.kind.kind, **manifest}
        path = ref.path(subresource)
        request = Request("update", ref.kind, "PUT", path, body=body, accept=METADATA)
        return await self._manage(request, FIELD_MANAGER, timeout_s, JSON)

    async def apply(
        self,
        kind: Kind,
        manifest: dict[str, Any],
        *,
        field_manager: str,
        existing: Mapping[str, Any] | None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Server-side apply of an object that AURORA creates; never by force.

        An apply to an existing object carries the uid and resourceVersion that were read: without
        them, an apply would make a deleted object anew.

        Raises:
            ConflictError: it changed, was deleted, or another manager owns a field.
        """
        metadata = dict(manifest["metadata"])
        if existing is not None:
            found = existing["metadata"]
            metadata |= {"uid": found["uid"], "resourceVersion": found["resourceVersion"]}
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            **manifest,
            "metadata": metadata,
        }
        return await self._send(
            Request(
                "apply",
                kind,
                "PATCH",
                ref_of(kind, manifest).path(),
                query=[("fieldManager", field_manager), ("force", "false")],
                body=body,
                content_type=APPLY_PATCH,
                timeout_s=timeout_s,
            )
        )

    async def delete(
        self,
        ref: Ref,
        *,
        uid: str,
        resource_version: str = "",
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        """Delete exactly the object that was read; its dependents go with it, in the background.

        Raises:
            ConflictError: the object is another one, or was written since.
            NotFoundError: it is gone already.
        """
        preconditions = {"uid": uid}
        if resource_version:
            preconditions["resourceVersion"] = resource_version
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": preconditions,
        }
        await self._send(
            Request("delete", ref.kind, "DELETE", ref.path(), body=body, timeout_s=timeout_s)
        )

    async def version(self) -> tuple[int, int]:
        """Major and minor version of the API server, for example (1, 33)."""
        found = await self._send(Request("get", VERSION, "GET", "/version"))
        # Providers write the minor version as "33+".
        return int(found["major"]), int(found["minor"].rstrip("+"))

    async def served(self, kind: Kind) -> bool:
        """Tell whether the API server serves a kind; asked for at most every 10 minutes."""
        return await self.resolve(kind.api_version, kind.kind) is not None

    async def resolve(self, api_version: str, kind: str) -> Kind | None:
        """Find how a kind is reached, for targets of kinds that AURORA does not know."""
        return await self._discovery.resolve(api_version, kind)

    async def _manage(
        self, request: Request, field_manager: str, timeout_s: float, content_type: str
    ) -> dict[str, Any]:
        told = {"query": [("fieldManager", field_manager)], "timeout_s": timeout_s}
        return await self._send(changed(request, content_type=content_type, **told))

    async def _send(self, request: Request) -> dict[str, Any]:
        answer = await self._transport.send(request)
        if not isinstance(answer, dict):
            raise ClusterError(f"{request}: the answer is not an object")
        return answer
