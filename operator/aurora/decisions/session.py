"""One command against one cluster: connect, read, answer in text."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from rich.console import Group, RenderableType
from rich.text import Text

from aurora.decisions.desk import Desk, refusal_of
from aurora.decisions.explain import change_lines, explain_decision
from aurora.decisions.model import ModelView, explain_model
from aurora.decisions.overview import Overview, overview
from aurora.decisions.text import clean, line, section
from aurora.decisions.undo import open_changes
from aurora.errors import ClusterError, UsageError
from aurora.executor.subjects import Subject
from aurora.kube.client import KubeClient
from aurora.kube.connection import Connection
from aurora.kube.context import context_namespace
from aurora.resources import DecisionObject
from aurora.resources.vocabulary import ApprovalVerdict

__all__ = ["Session", "answered", "explained", "paused", "stopped", "surveyed"]

T = TypeVar("T")
_DECISIONS = frozenset({"dec", "decision", "decisions"})
_MODELS = frozenset({"mdep", "modeldeployment", "modeldeployments", "model"})
_POLICIES = frozenset({"rpol", "routingpolicy", "routingpolicies", "policy"})
_KINDS = (
    ("Decision", _DECISIONS),
    ("ModelDeployment", _MODELS),
    ("RoutingPolicy", _POLICIES),
)


@dataclass(frozen=True, slots=True)
class Session:
    """Where a command works.

    Attributes:
        namespace: empty for all namespaces.
    """

    connection: Connection
    namespace: str
    operator_namespace: str

    @classmethod
    def of(
        cls,
        kubeconfig: Path | None,
        context: str | None,
        namespace: str | None,
        *,
        operator_namespace: str = "",
        everywhere: bool = False,
    ) -> Self:
        """Choose the namespace as kubectl does.

        Raises:
            UsageError: a namespace and all namespaces were asked for.
        """
        if namespace is not None and everywhere:
            raise UsageError("give either --namespace or --all-namespaces")
        connection = Connection(kubeconfig, context)
        chosen = "" if everywhere else namespace or context_namespace(connection)
        return cls(connection, chosen, operator_namespace)

    @property
    def place(self) -> str:
        return f"namespace {self.namespace}" if self.namespace else "any namespace"

    def run(self, work: Callable[[Desk], Awaitable[T]]) -> T:
        """Connect, do the work and close the connection."""
        return asyncio.run(self._run(work))

    async def _run(self, work: Callable[[Desk], Awaitable[T]]) -> T:
        async with KubeClient(self.connection) as client:
            return await work(Desk(client, operator_namespace=self.operator_namespace))


async def explained(desk: Desk, namespace: str, name: str) -> Group:
    """Explain a Decision, else a ModelDeployment, else a RoutingPolicy of that name.

    Raises:
        UsageError: there is none of them.
    """
    kind, _, bare = name.rpartition("/")
    if kind and not any(kind in names for _, names in _KINDS):
        told = f"write dec/{bare}, mdep/{bare} or rpol/{bare}"
        raise UsageError(f"{kind} cannot be explained: {told}")
    now = datetime.now(UTC)
    found = await desk.decision(namespace, bare) if not kind or kind in _DECISIONS else None
    if found is not None:
        return explain_decision(found, now=now)
    subject = await _subject(desk, namespace, kind, bare)
    if subject is None:
        raise UsageError(_absent(kind, bare, namespace))
    return explain_model(await _view(desk, subject, now))


async def _subject(desk: Desk, namespace: str, kind: str, name: str) -> Subject | None:
    """The ModelDeployment of that name, else the RoutingPolicy; a kind that is named decides."""
    model = await desk.model(namespace, name) if not kind or kind in _MODELS else None
    if model is not None:
        return model
    return await desk.policy(namespace, name) if not kind or kind in _POLICIES else None


def _absent(
    kind: str,
    name: str,
    namespace: str,
    *,
    any_of: str = "Decision, ModelDeployment or RoutingPolicy",
) -> str:
    named = [what for what, names in _KINDS if kind in names]
    what = named[0] if named else any_of
    return (
        f"there is no {what} {name} in namespace {namespace}: "
        "`kubectl aurora decisions -A` and `kubectl aurora status -A` list them, -n names another "
        "namespace"
    )


async def _view(desk: Desk, model: Subject, now: datetime) -> ModelView:
    metadata = model.metadata
    found = await desk.decisions(metadata.namespace, model=metadata.name)
    own = tuple(one for one in found.decisions if one.spec.model_ref.uid == metadata.uid)
    return ModelView(model, own, await desk.switch(), now)


async def answered(
    desk: Desk, namespace: str, name: str, verdict: ApprovalVerdict, *, reason: str
) -> str:
    """Approve or deny one Decision.

    Raises:
        UsageError: it does not exist, awaits no approval, or has expired.
    """
    found = await desk.decision(namespace, name.rpartition("/")[2])
    if found is None:
        raise UsageError(_absent("dec", name, namespace))
    refusal = refusal_of(found, now=datetime.now(UTC))
    if refusal is not None:
        raise refusal
    made, user = await desk.answer(found, verdict, reason=reason)
    done = "approved" if verdict is ApprovalVerdict.APPROVE else "denied"
    after = ": the guardrails are checked once more, then it is carried out"
    tail = after if verdict is ApprovalVerdict.APPROVE else ""
    return f"{found.metadata.name} {done} by {clean(user)} (Approval {made}){tail}"


async def paused(desk: Desk, namespace: str, name: str, *, set_: bool) -> str:
    """Pause or resume one model or policy.

    Raises:
        UsageError: it does not exist, or is of another kind.
    """
    kind, _, bare = name.rpartition("/")
    if kind and kind not in _MODELS | _POLICIES:
        raise UsageError(f"{kind} cannot be paused: write mdep/{bare} or rpol/{bare}")
    subject = await _subject(desk, namespace, kind, bare)
    if subject is None:
        absent = _absent(kind, bare, namespace, any_of="ModelDeployment or RoutingPolicy")
        raise UsageError(absent)
    if await desk.pause(subject, paused=set_):
        return f"{name} is {'paused' if set_ else 'resumed'}"
    return f"{name} is {'paused already' if set_ else 'not paused'}"


async def stopped(desk: Desk, *, set_: bool, reason: str) -> RenderableType:
    """Set or lift the kill switch; when it is set, what is open stays so and is listed."""
    await desk.stop(stopped=set_, reason=reason)
    if not set_:
        return line("the kill switch is lifted: AURORA writes again within one cycle")
    said = line("the kill switch is set: AURORA writes nothing, rollbacks neither")
    try:
        found = await desk.decisions("")
    except ClusterError as error:
        return Group(said, line(f"open changes could not be listed: {error}"))
    return Group(said, _open(found.decisions))


def _open(decisions: tuple[DecisionObject, ...]) -> RenderableType:
    lines: list[Text] = []
    for one in open_changes(decisions):
        what, undo = change_lines(one.change)
        lines += [line(f"{one.decision}:") + Text(" ") + what, undo]
    return section("Open changes, and how to undo them by hand", *(lines or [line("none")]))


async def surveyed(desk: Desk, namespace: str) -> Group:
    """The installation on one screen."""
    found = await desk.decisions(namespace)
    return overview(
        Overview(
            models=await desk.models(namespace),
            decisions=found.decisions,
            switch=await desk.switch(),
            leader=await desk.leader(),
            now=datetime.now(UTC),
            namespaces=not namespace,
        )
    )
