"""`aurora decisions|explain|approve|deny|pause|resume|status`, also as `kubectl aurora ...`.

What is heavy is imported inside the functions: `aurora --help` must not wait for it.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aurora.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from aurora.resources.vocabulary import ApprovalVerdict

__all__ = ["approve", "decisions", "deny", "explain", "pause", "resume", "status"]

WIDE = 200
"""Columns where the output is not a terminal."""

Kubeconfig = Annotated[
    Path | None, typer.Option(help="Kubeconfig [default: $KUBECONFIG, then ~/.kube/config].")
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace [default: the context's own]."),
]
Everywhere = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Look in every namespace.")
]
OperatorNamespace = Annotated[
    str,
    typer.Option(
        envvar="AURORA_NAMESPACE", help="Namespace of the operator, its Lease and aurora-control."
    ),
]
Reason = Annotated[str, typer.Option(help="Why, in a sentence; it is kept.")]
DecisionName = Annotated[str, typer.Argument(metavar="DECISION", help="Name of the Decision.")]
ModelName = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help="Name of the ModelDeployment, or rpol/NAME.")
]


class Output(StrEnum):
    """Form of a list."""

    TABLE = "table"
    JSON = "json"


def decisions(  # noqa: PLR0913 - one parameter per option
    *,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    model: Annotated[str, typer.Option(help="Only decisions about this ModelDeployment.")] = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="table or json.")] = Output.TABLE,
    limit: Annotated[int, typer.Option(min=0, help="Newest to show; 0 shows all.")] = 50,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """List what was decided, the newest first."""
    import json
    from datetime import UTC, datetime

    from aurora.decisions.session import Session
    from aurora.decisions.table import decision_rows, decision_table

    session = Session.of(kubeconfig, context, namespace, everywhere=everywhere)
    found = session.run(lambda desk: desk.decisions(session.namespace, model=model))
    shown = found.decisions[: limit or None]
    if output is Output.JSON:
        print(json.dumps(decision_rows(shown), indent=2))
    elif shown:
        _show(decision_table(shown, now=datetime.now(UTC), namespaces=not session.namespace))
    else:
        _note(f"no decisions in {session.place}")
    if len(shown) < len(found.decisions):
        _note(f"{len(shown)} of {len(found.decisions)} are shown: --limit 0 shows all")
    for why in found.unreadable:
        _note(f"one Decision could not be read: {why}")


def explain(
    *,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A Decision, ModelDeployment or RoutingPolicy; dec/NAME, mdep/NAME or rpol/NAME.",
        ),
    ],
    namespace: Namespace = None,
    operator_namespace: OperatorNamespace = "aurora-system",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Say why a decision was made, or why nothing is being done for a model or policy now."""
    from aurora.decisions.session import Session, explained

    session = Session.of(kubeconfig, context, namespace, operator_namespace=operator_namespace)
    _show(session.run(lambda desk: explained(desk, session.namespace, name)))


def approve(
    *,
    decision: DecisionName,
    reason: Reason = "",
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Let AURORA carry out a decision that awaits approval; guardrails are checked again."""
    from aurora.resources.vocabulary import ApprovalVerdict

    _answer(decision, ApprovalVerdict.APPROVE, reason, (kubeconfig, context, namespace))


def deny(
    *,
    decision: DecisionName,
    reason: Reason = "",
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Refuse a decision that awaits approval; a denial wins over any approval."""
    from aurora.resources.vocabulary import ApprovalVerdict

    _answer(decision, ApprovalVerdict.DENY, reason, (kubeconfig, context, namespace))


def _answer(
    name: str,
    verdict: "ApprovalVerdict",
    reason: str,
    place: tuple[Path | None, str | None, str | None],
) -> None:
    from aurora.decisions.session import Session, answered

    session = Session.of(*place)
    print(session.run(lambda desk: answered(desk, session.namespace, name, verdict, reason=reason)))


def pause(  # noqa: PLR0913 - one parameter per option
    *,
    model: ModelName = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Set the kill switch: stop every write.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Kept with --all and shown to everybody.")] = "",
    namespace: Namespace = None,
    operator_namespace: OperatorNamespace = "aurora-system",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Stop every write for one model, rollbacks too; or for all of them with --all."""
    from aurora.decisions.session import Session, paused, stopped

    session = Session.of(kubeconfig, context, namespace, operator_namespace=operator_namespace)
    if _one(model, everything=everything):
        print(session.run(lambda desk: paused(desk, session.namespace, model or "", set_=True)))
        return
    _show(session.run(lambda desk: stopped(desk, set_=True, reason=reason)))


def resume(  # noqa: PLR0913 - one parameter per option
    *,
    model: ModelName = None,
    everything: Annotated[bool, typer.Option("--all", help="Lift the kill switch.")] = False,
    namespace: Namespace = None,
    operator_namespace: OperatorNamespace = "aurora-system",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Let AURORA write again for one model, or for all of them with --all."""
    from aurora.decisions.session import Session, paused, stopped

    session = Session.of(kubeconfig, context, namespace, operator_namespace=operator_namespace)
    if _one(model, everything=everything):
        print(session.run(lambda desk: paused(desk, session.namespace, model or "", set_=False)))
        return
    _show(session.run(lambda desk: stopped(desk, set_=False, reason="")))


def _one(model: str | None, *, everything: bool) -> bool:
    if (model is None) is not everything:
        raise UsageError("name one MODEL, or give --all instead")
    return model is not None


def status(
    *,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    operator_namespace: OperatorNamespace = "aurora-system",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show whether AURORA may write, which process leads, and how every model stands."""
    from aurora.decisions.session import Session, surveyed

    session = Session.of(
        kubeconfig,
        context,
        namespace,
        operator_namespace=operator_namespace,
        everywhere=everywhere,
    )
    _show(session.run(lambda desk: surveyed(desk, session.namespace)))


def _show(what: "RenderableType") -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False)
    console.print(what, crop=False)


def _note(text: str) -> None:
    from aurora.decisions.text import clean

    sys.stderr.write(f"{clean(text)}\n")
