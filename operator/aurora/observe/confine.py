"""Confines PromQL to one namespace, by its syntax tree.

Every vector selector gets the matcher `namespace="..."`, also where it has one already: matchers
are joined by "and", so nothing wider can be read. The text that is sent is written from the tree,
and is parsed once more and compared before it is used, because what is checked must be what
Prometheus reads.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import promql_parser as promql

from aurora.errors import UsageError
from aurora.observe.queries.promql import block, tagged, union

__all__ = ["AT", "VALUE", "Confined", "confine"]

MAX_LENGTH = 2048
MAX_REACH = timedelta(days=1)
"""How far back a range or subquery may look: beyond it one object's query burdens everybody."""
AT, VALUE = "at", "value"

Shape = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Confined:
    """A query that reads one namespace.

    Attributes:
        text: what it means, for people and records.
        request: what is sent: the value, and when the stalest of its series was scraped.
    """

    text: str
    request: str


def confine(query: str, namespace: str, *, label: str = "namespace") -> Confined:
    """Confine `query` to the namespace.

    Raises:
        UsageError: it does not parse, reads no series of now, reads another namespace, reaches
            too far back, or uses what cannot be confined.
    """
    if len(query) > MAX_LENGTH:
        raise UsageError(f"a query has at most {MAX_LENGTH} characters, this one {len(query)}")
    original = _parsed(query)
    _check(original, namespace, label)
    text = str(
        promql.transform(original, post_visit=lambda node: _rewritten(node, namespace, label))
    )
    confined = _parsed(text)
    extra = ("=", label, namespace)
    if _shapes(confined) != _shapes(original, extra):
        raise UsageError("the query cannot be confined to its namespace: write it more simply")
    value = block("vector(", text) if _is_scalar(confined) else text
    request = union([tagged(value, VALUE), tagged(_stalest(confined), AT)])
    return Confined(text=text, request=request)


def _parsed(query: str) -> promql.Expr:
    try:
        return promql.parse(query)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"the query is not PromQL: {reason}") from None


def _nodes(expression: promql.Expr) -> list[Any]:
    found: list[Any] = []
    promql.walk(expression, pre_visit=found.append)
    return found


def _check(expression: promql.Expr, namespace: str, label: str) -> None:
    nodes = _nodes(expression)
    selectors = [node for node in nodes if isinstance(node, promql.VectorSelector)]
    if not any(_is_now(node) for node in selectors):
        raise UsageError("the query reads no series of now: name a metric without offset or @")
    for node in nodes:
        _check_node(node)
    for selector in selectors:
        _check_selector(selector, namespace, label)
    if isinstance(expression, promql.MatrixSelector | promql.StringLiteral):
        raise UsageError("the query answers no number: wrap a range in a function such as rate()")


def _check_node(node: Any) -> None:
    if isinstance(node, promql.Call) and node.func.experimental:
        raise UsageError(f"{node.func.name}() is experimental and not allowed here")
    if isinstance(node, promql.SubqueryExpr) and node.step is None:
        raise UsageError("a subquery needs a step here: write for example [10m:1m]")
    reach = getattr(node, "range", None)
    if reach is not None and reach > MAX_REACH:
        raise UsageError(f"the query looks back further than {MAX_REACH.days} day")


def _check_selector(selector: promql.VectorSelector, namespace: str, label: str) -> None:
    if selector.matchers.or_matchers:
        raise UsageError("'or' between matchers is not allowed: use =~ with alternatives")
    for matcher in selector.matchers.matchers:
        foreign = matcher.name == label and matcher.value != namespace
        if foreign and matcher.op == promql.MatchOp.Equal:
            raise UsageError(
                f"the query reads the namespace {matcher.value!r}: an object's own query may "
                f"read only its own, {namespace!r}"
            )


def _is_now(selector: promql.VectorSelector) -> bool:
    return selector.offset is None and selector.at is None


def _escaped(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _rewritten(node: Any, namespace: str, label: str) -> promql.Expr | None:
    """The node with the matcher.

    Values are escaped twice: the library prints them as they are, here, where the replacement is
    parsed again, and once more when the whole is written.
    """
    if isinstance(node, promql.StringLiteral):
        return promql.parse(f'"{_escaped(_escaped(node.val))}"')
    if not isinstance(node, promql.VectorSelector):
        return None
    own = promql.Matcher(promql.MatchOp.Equal, label, namespace)
    return _selector(node, [*node.matchers.matchers, own])


def _selector(node: promql.VectorSelector, matchers: list[promql.Matcher]) -> promql.Expr:
    node.matchers = promql.Matchers(
        [promql.Matcher(m.op, m.name, _escaped(_escaped(m.value))) for m in matchers]
    )
    return _parsed(str(node))


def _shapes(expression: promql.Expr, extra: tuple[str, str, str] | None = None) -> list[Shape]:
    """Everything that gives the tree its meaning, in order; `extra` is added to each selector."""
    return [_shape(node, extra) for node in _nodes(expression)]


def _shape(node: Any, extra: tuple[str, str, str] | None) -> Shape:
    kind = type(node).__name__
    if isinstance(node, promql.VectorSelector):
        own = [(_OPERATORS[str(m.op)], m.name, m.value) for m in node.matchers.matchers]
        own = [*own, extra] if extra else own
        if node.name:
            own.append(("=", "__name__", node.name))
        return (
            kind,
            tuple(sorted(own)),
            bool(node.matchers.or_matchers),
            node.offset,
            str(node.at),
        )
    if isinstance(node, promql.Call):
        return (kind, node.func.name, len(node.args))
    if isinstance(node, promql.StringLiteral | promql.NumberLiteral):
        return (kind, repr(node.val))
    if isinstance(node, promql.MatrixSelector):
        return (kind, node.range)
    if isinstance(node, promql.SubqueryExpr):
        return (kind, node.range, node.step, node.offset, str(node.at))
    return (kind, str(getattr(node, "op", "")), str(getattr(node, "modifier", "")))


_OPERATORS = {
    str(promql.MatchOp.Equal): "=",
    str(promql.MatchOp.NotEqual): "!=",
    str(promql.MatchOp.Re): "=~",
    str(promql.MatchOp.NotRe): "!~",
}


def _is_scalar(node: Any) -> bool:
    if isinstance(node, promql.NumberLiteral):
        return True
    if isinstance(node, promql.ParenExpr | promql.UnaryExpr):
        return _is_scalar(node.expr)
    if isinstance(node, promql.BinaryExpr):
        return _is_scalar(node.lhs) and _is_scalar(node.rhs)
    return isinstance(node, promql.Call) and node.func.return_type == promql.ValueType.Scalar


def _stalest(expression: promql.Expr) -> str:
    """When the stalest of the selected series was scraped; the past is left out."""
    selectors = [
        str(_selector(node, node.matchers.matchers))
        for node in _nodes(expression)
        if isinstance(node, promql.VectorSelector) and _is_now(node)
    ]
    newest = [f"max(timestamp({text}))" for text in dict.fromkeys(selectors)]
    each = [tagged(text, str(number)) for number, text in enumerate(newest)]
    return newest[0] if len(newest) == 1 else block("min(", union(each))
