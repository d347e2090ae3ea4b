"""Approval: a person's verdict on one Decision; creating it is the whole act."""

from typing import Annotated, ClassVar

from pydantic import Field

from aurora.resources.base import KubernetesObject, Part
from aurora.resources.cel import Rule
from aurora.resources.columns import Column
from aurora.resources.quantities import LongText, ObjectName, Uid
from aurora.resources.vocabulary import ApprovalVerdict

# A user name comes from certificates and tokens: almost any text, so only emptiness is refused.
UserName = Annotated[str, Field(min_length=1, max_length=253)]


class DecisionRef(Part):
    """The Decision that is judged."""

    name: ObjectName
    """Its name, in the Approval's namespace."""
    uid: Annotated[
        Uid,
        Field(min_length=1),
        Rule(
            "self.matches('^[A-Za-z0-9-]+$')",
            "use the Decision's metadata.uid: kubectl get dec NAME -o jsonpath={.metadata.uid}",
        ),
    ]
    """Its uid, so that a later Decision of the same name is not approved by accident."""


class ApprovalSpec(Part):
    """Immutable: who says what about which Decision."""

    decision_ref: DecisionRef
    """The Decision."""
    verdict: ApprovalVerdict
    """Approve or Deny; the first Deny wins."""
    approver: UserName
    """Your own user name as the API server knows it (kubectl auth whoami)."""
    reason: LongText = ""
    """Why, in a sentence."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self == oldSelf",
            "an Approval never changes: create another one, a Deny wins over an Approve",
        ),
    )


class Approval(KubernetesObject):
    """A person's verdict on one Decision."""

    kind: ClassVar[str] = "Approval"
    plural: ClassVar[str] = "approvals"
    short_names: ClassVar[tuple[str, ...]] = ("appr",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Decision", ".spec.decisionRef.name"),
        Column("Verdict", ".spec.verdict"),
        Column("Approver", ".spec.approver"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Reason", ".spec.reason", priority=1),
    )

    spec: ApprovalSpec
    """Who says what about which Decision; immutable."""
