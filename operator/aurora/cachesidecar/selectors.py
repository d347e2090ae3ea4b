"""Label selectors, as the API server reads them."""

from collections.abc import Mapping
from typing import Any

__all__ = ["matches_term", "selects"]

Json = Mapping[str, Any]


def selects(selector: Json, labels: Json) -> bool:
    """Return whether a LabelSelector picks an object with these labels; an empty one picks all."""
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(matches_term(term, labels) for term in selector.get("matchExpressions") or ())


def matches_term(term: Json, labels: Json) -> bool:
    """Return whether one expression holds; Gt and Lt (nodes only) never do here."""
    value = labels.get(term["key"])
    allowed = term.get("values") or ()
    match term["operator"]:
        case "In":
            return value in allowed
        case "NotIn":
            return value not in allowed
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
