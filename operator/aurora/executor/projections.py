"""The projections of one Decision: object, annotation, Event, log line, metric labels."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal as Number
from typing import Any

from aurora.critic.chain import risk_of
from aurora.critic.verdict import Approved, NeedsApproval, Rejected, Verdict
from aurora.memory.outcome import Outcome
from aurora.observe.subjects import kind_of, name_of
from aurora.planner.decision import Decision, Direction, Effect, Evidence
from aurora.resources import DecisionObject
from aurora.resources.names import ACTION_LABEL, API_VERSION, MODEL_LABEL
from aurora.resources.quantities import format_timestamp
from aurora.resources.vocabulary import Phase, Tier

__all__ = [
    "decision_manifest",
    "first_phase",
    "log_fields",
    "number",
    "outcome_status",
    "stored_annotation",
    "timestamp",
    "weights_text",
]

_ANNOTATION_LIMIT = 2048
_MESSAGE_LIMIT = 1024


def number(value: float) -> str:
    """A decimal string with six significant digits: objects hold no floats.

    Raises:
        ValueError: NaN or infinity, which no reading and no effect may be.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written as a decimal")
    # What is far below any unit's noise would not fit into a decimal string.
    short = round(float(f"{value:.6g}"), 12) + 0.0
    text = format(Number(repr(short)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def weights_text(points: Mapping[str, int]) -> str:
    """Points by backend for people, for example `stable=90 canary=10`."""
    return " ".join(f"{name}={share}" for name, share in points.items())


def timestamp(at: float) -> str:
    return format_timestamp(datetime.fromtimestamp(at, UTC))


def decision_manifest(decision: Decision, verdict: Verdict) -> dict[str, Any]:
    """The Decision object as it is created; its status is written afterwards."""
    spec: dict[str, Any] = {
        "modelRef": {
            "kind": kind_of(decision.model).value,
            "name": name_of(decision.model),
            "uid": decision.model_uid,
        },
        "target": {
            "apiVersion": decision.target.api_version,
            "kind": decision.target.kind,
            "name": decision.target.name,
            "uid": decision.target.uid,
        },
        "action": str(decision.action),
        "parameters": {"from": dict(decision.before), "to": dict(decision.after)},
        "reason": str(decision.reason),
        "message": _sentence(decision, verdict),
        "confidencePercent": round(decision.confidence * 100),
        "tier": str(_tier(verdict)),
        "risk": str(risk_of(decision.action, decision.direction)),
        "evidence": [_evidence(one) for one in decision.evidence[:16]],
        "rollbackIf": [
            {"signal": one.signal, "operator": ">", "value": number(one.above)}
            for one in decision.rollback_if
        ],
        "precedents": [
            {
                "decision": one.decision,
                "similarityPercent": round(one.similarity * 100),
                "outcome": one.verdict,
            }
            for one in decision.precedents[:8]
        ],
        "alternatives": [
            {
                "action": str(one.action),
                "reason": one.reason,
                "message": _plain(one.message)[:_MESSAGE_LIMIT],
            }
            for one in decision.alternatives[:8]
        ],
        "policyHash": decision.policy_hash,
        "fingerprint": decision.fingerprint,
        "expiresAt": timestamp(decision.expires_at),
        "protective": decision.protective,
    }
    if decision.direction is not Direction.NONE:
        spec["direction"] = str(decision.direction)
    if decision.expected is not None:
        spec["expectedEffect"] = _effect(decision.expected, decision)
    return {
        "apiVersion": API_VERSION,
        "kind": "Decision",
        "metadata": _metadata(decision),
        "spec": spec,
    }


def _metadata(decision: Decision) -> dict[str, Any]:
    return {
        "name": decision.id,
        "namespace": decision.model.namespace,
        "labels": {
            MODEL_LABEL: name_of(decision.model)[:63].rstrip("-."),
            ACTION_LABEL: str(decision.action),
        },
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": kind_of(decision.model).value,
                "name": name_of(decision.model),
                "uid": decision.model_uid,
                "blockOwnerDeletion": False,
            }
        ],
    }


def _sentence(decision: Decision, verdict: Verdict) -> str:
    parts = [decision.message]
    if decision.advice:
        parts.append(decision.advice)
    if isinstance(verdict, Rejected):
        parts.append(f"Not done: {verdict.message}.")
    if isinstance(verdict, NeedsApproval):
        parts.append(f"A person decides: {verdict.message}.")
    return _plain(" ".join(parts))[:_MESSAGE_LIMIT]


def _plain(text: str) -> str:
    """Text that every encoder takes: half of a surrogate pair, from a label or error, is none."""
    return text.encode("utf-8", "replace").decode()


def _tier(verdict: Verdict) -> Tier:
    return verdict.tier if isinstance(verdict, Approved) else Tier.APPROVAL


def first_phase(verdict: Verdict) -> Phase:
    """The phase a Decision starts in."""
    if isinstance(verdict, Approved):
        return Phase.APPROVED
    return Phase.REJECTED if isinstance(verdict, Rejected) else Phase.AWAITING_APPROVAL


def _evidence(one: Evidence) -> dict[str, Any]:
    made: dict[str, Any] = {
        "signal": one.signal,
        "value": number(one.value),
        "unit": one.unit,
        "at": timestamp(one.at),
    }
    if one.query:
        made["query"] = one.query[:4096]
    if one.threshold is not None:
        made["threshold"] = number(one.threshold)
    if one.samples is not None:
        made["samples"] = int(one.samples)
    if one.window_s:
        made["window"] = f"{round(one.window_s)}s"
    return made


def _effect(effect: Effect, decision: Decision) -> dict[str, Any]:
    now = next((one.value for one in decision.evidence if one.signal == effect.signal), None)
    level = now if effect.without is None else effect.without
    base = effect.expected if level is None else level
    by = datetime.fromtimestamp(decision.decided_at, UTC) + timedelta(seconds=effect.by_s)
    return {
        "signal": effect.signal,
        "direction": "Hold" if effect.keeps else "Down",
        "delta": number(effect.expected - base),
        "low": number(effect.low - base),
        "high": number(effect.high - base),
        "unit": effect.unit,
        "by": format_timestamp(by),
    }


def outcome_status(outcome: Outcome) -> dict[str, object]:
    """What measurement said, as it stands in `status.outcome`."""
    made: dict[str, object] = {
        "verdict": outcome.verdict.value,
        "message": outcome.message[:1024],
        "measuredAt": timestamp(outcome.measured_at),
    }
    for name in ("effect", "low", "high"):
        value = getattr(outcome, name)
        if value is not None:
            made[name] = number(value)
    if outcome.unit:
        made["unit"] = outcome.unit
    return made


def stored_annotation(found: DecisionObject, phase: Phase | None = None) -> str:
    """Compact JSON for `aurora.dev/last-decision`, 2 KiB at most.

    Args:
        found: the decision.
        phase: that it enters with the write that carries the text; None is the one it is in.
    """
    spec, status = found.spec, found.status
    fields: dict[str, Any] = {
        "decision": found.metadata.name,
        "action": spec.action.value,
        "from": dict(spec.parameters.from_),
        "to": dict(spec.parameters.to),
        "reason": spec.reason,
        "confidencePercent": spec.confidence_percent,
        "phase": (phase or status.phase or Phase.PROPOSED).value,
        "message": spec.message,
    }
    if status.outcome is not None:
        fields["outcome"] = status.outcome.verdict.value
    text = _compact(fields)
    over = _size(text) - _ANNOTATION_LIMIT
    if over > 0:
        # Quotes and non-ASCII letters cost more than one byte: cut twice what is too much.
        fields["message"] = spec.message[: max(0, len(spec.message) - 2 * over - 3)] + "..."
        text = _compact(fields)
    if _size(text) > _ANNOTATION_LIMIT:
        text = _compact(fields | {"message": ""})
    return text if _size(text) <= _ANNOTATION_LIMIT else _compact(_shortest(fields))


def _shortest(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in {"from", "to", "message"}}


def _size(text: str) -> int:
    return len(text.encode())


def _compact(fields: dict[str, Any]) -> str:
    return _plain(json.dumps(fields, separators=(",", ":"), ensure_ascii=False))


def log_fields(decision: Decision, verdict: Verdict) -> dict[str, Any]:
    """Key and value pairs of the log line."""
    return {
        "decision": decision.id,
        "model": str(decision.model),
        "action": str(decision.action),
        "direction": str(decision.direction),
        "reason": str(decision.reason),
        "confidence": round(decision.confidence, 3),
        "verdict": type(verdict).__name__,
        "why": "" if isinstance(verdict, Approved) else str(verdict.reason),
    }
