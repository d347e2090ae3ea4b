"""Small pieces of PromQL text, and the only place where a value becomes part of it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple

from aurora.errors import UsageError
from aurora.observe.queries.settings import LabelNames, MetricsSettings

__all__ = [
    "WORKLOAD_OF_POD",
    "Frame",
    "Label",
    "block",
    "pods_of",
    "quoted",
    "tagged",
    "union",
    "workload_key",
    "workload_of",
]

_CUT = 58
_HASH_CUT = 47
_HASH = "[4-9bcdf]{6,10}"
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
WORKLOAD_OF_POD = "|".join(
    (
        f"(.+)-{_HASH}-{_RANDOM}{{5}}",
        "(.+)-[0-9]+",
        f"(.{{{_HASH_CUT},{_CUT - 1}}})-[4-9bcdf]{{0,10}}{_RANDOM}{{5}}",
        f"(.{{{_CUT}}}){_RANDOM}{{5}}",
    )
)
"""Workload name in a pod name: Deployment, StatefulSet, and Deployments with long names.

A Deployment's pod is `<name>-<hash>-<random>`. The hash is a decimal uint32 of which each digit
is written in the alphabet `bcdfghjklmnpqrstvwxz2456789` by its code modulo 27, which leaves the
ten characters `4-9bcdf`; the random part is five characters of the whole alphabet
(k8s.io/apimachinery, util/rand). Generated names are cut to 58 characters before the random part,
so from 47 characters on the hash is cut, and from 58 on the workload's name is.
"""
_NAME_OF_MATCH = "$1$2$3$4"
_LITERAL = json.JSONEncoder(ensure_ascii=False).encode
_POD = re.compile(WORKLOAD_OF_POD)


def quoted(value: str) -> str:
    """A PromQL string literal. PromQL reads the escapes of JSON; text stays UTF-8.

    Raises:
        UsageError: the value is not Unicode text (a lone surrogate).
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{value!r} is not valid text: correct the name") from None
    return _LITERAL(value)


class Label(NamedTuple):
    """A label matcher."""

    name: str
    op: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}{self.op}{quoted(self.value)}"


def block(head: str, *parts: str, tail: str = ")") -> str:
    return f"{head}\n" + _indented(",\n".join(parts)) + f"\n{tail}"


def _indented(text: str) -> str:
    # textwrap.indent also breaks lines at U+0085 and U+2028, which a literal may hold.
    return "  " + text.replace("\n", "\n  ")


def _escaped(value: str) -> str:
    """A regular expression for the value; '-' needs no escape outside of brackets."""
    return re.escape(value).replace("\\-", "-")


def union(parts: Sequence[str]) -> str:
    """`or` as a balanced tree: Prometheus re-reads the whole left side at every `or`."""
    if len(parts) == 1:
        return parts[0]
    half = (len(parts) + 1) // 2
    left, right = union(parts[:half]), union(parts[half:])
    return f"{_grouped(left, half)}\nor\n{_grouped(right, len(parts) - half)}"


def _grouped(text: str, parts: int) -> str:
    return text if parts == 1 else block("(", text)


def tagged(expression: str, tag: str) -> str:
    """The expression with the label `signal`, so that one answer holds several signals."""
    return block("label_replace(", expression, f'"signal", {quoted(tag)}, "", ""')


class Grouping(Enum):
    """What one answer holds a number for."""

    WORKLOAD = auto()
    POD = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Frame:
    """Whose series are read, over which window and grouped how.

    Attributes:
        scope: matchers that every selector gets.
        grouping: what one answer holds a number for.
    """

    settings: MetricsSettings
    labels: LabelNames
    scope: tuple[Label, ...] = ()
    grouping: Grouping = Grouping.WORKLOAD

    def narrowed(self, *labels: Label) -> "Frame":
        return replace(self, scope=(*self.scope, *labels))

    def within(self, namespaces: Sequence[str]) -> "Frame":
        """These namespaces only."""
        spaces = "|".join(_escaped(name) for name in namespaces)
        return self.narrowed(Label(self.labels.namespace, "=~", spaces))

    def workload(self, namespace: str, name: str) -> "Frame":
        """One workload, as a person would ask for it."""
        return self.matching(namespace, pods_of(name))

    def matching(self, namespace: str, pods: str) -> "Frame":
        """The pods of one namespace that a regular expression names, as one."""
        frame = self.narrowed(
            Label(self.labels.namespace, "=", namespace), Label(self.labels.pod, "=~", pods)
        )
        return replace(frame, grouping=Grouping.NONE)

    def among(self, workloads: Sequence[tuple[str, str]]) -> "Frame":
        """A few workloads; the reader sorts out same names in other namespaces."""
        pods = "|".join(sorted({pods_of(name) for _, name in workloads}))
        frame = self.within(sorted({namespace for namespace, _ in workloads}))
        return frame.narrowed(Label(self.labels.pod, "=~", pods))

    def pods_of(self, workloads: Sequence[tuple[str, str]]) -> "Frame":
        """The pods of a few workloads, each on its own."""
        return replace(self.among(workloads), grouping=Grouping.POD)

    def select(self, metric: str, *own: Label) -> str:
        matchers = ",".join(str(label) for label in (*own, *self.scope))
        return f"{metric}{{{matchers}}}" if matchers else metric

    def rate(self, metric: str, *own: Label) -> str:
        return f"rate({self.select(metric, *own)}[{self.settings.window_s}s])"

    def increase(self, metric: str, *own: Label) -> str:
        return f"increase({self.select(metric, *own)}[{self.settings.window_s}s])"

    def grouped(self, inner: str, *, operator: str = "sum", keep: tuple[str, ...] = ()) -> str:
        """One series per workload (or pod, or in all), keeping the labels named."""
        names = self.labels
        by = {
            Grouping.WORKLOAD: (names.namespace, "workload", *keep),
            Grouping.POD: (names.namespace, names.pod, *keep),
            Grouping.NONE: keep,
        }[self.grouping]
        head = f"{operator} by ({', '.join(by)}) (" if by else f"{operator}("
        named = self.grouping is Grouping.WORKLOAD
        return block(head, self._with_workload(inner) if named else inner)

    def _with_workload(self, inner: str) -> str:
        source = f'"workload", "{_NAME_OF_MATCH}", {quoted(self.labels.pod)}'
        return block("label_replace(", inner, f"{source}, {quoted(WORKLOAD_OF_POD)}")

    def quantile(self, histogram: str, *, scale: str = "") -> str:
        buckets = self.grouped(self.rate(f"{histogram}_bucket"), keep=("le",))
        return block("histogram_quantile(", "0.95", buckets) + scale

    def mean(self, histogram: str) -> str:
        return self.quotient(self.rate(f"{histogram}_sum"), self.rate(f"{histogram}_count"))

    def quotient(self, part: str, whole: str, *, scale: str = "") -> str:
        return f"{self.grouped(part)}{scale}\n/\n{self.grouped(whole)}"

    def ratio(self, part: str, whole: str) -> str:
        """Share of `whole` that is `part`; 0 where only `part` has no series, NaN without any."""
        either = block("(", f"{self.grouped(part)}\nor\n0 * {self.grouped(whole)}")
        return f"{either}\n/\n{self.grouped(whole)}"


def pods_of(name: str) -> str:
    """Names that the pods of a Deployment or StatefulSet can have, as a regular expression."""
    start = _escaped(name[:_CUT])
    if len(name) >= _CUT:
        return f"{start}{_RANDOM}{{5}}"
    ends = [f"{_HASH}-{_RANDOM}{{5}}", "[0-9]+"]
    if len(name) >= _HASH_CUT:
        ends.append(f"[4-9bcdf]{{0,10}}{_RANDOM}{{5}}")
    return f"{start}-(?:{'|'.join(ends)})"


def workload_key(name: str) -> str:
    """The name under which a workload is found in answers.

    A cut name is where the rule puts its pods, which may be shorter still: the end of
    `...-are-c` reads like a cut hash.
    """
    if len(name) < _CUT:
        return name
    return workload_of(name[:_CUT] + "bbbbb") or name[:_CUT]


def workload_of(pod: str) -> str | None:
    """The workload's name in a pod's name, by the rule that the queries use."""
    match = _POD.fullmatch(pod)
    return None if match is None else next(group for group in match.groups() if group)
