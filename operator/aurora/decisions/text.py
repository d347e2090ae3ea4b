"""Small pieces of text for people; what comes from the cluster is cleaned first. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aurora.resources import DecisionObject

__all__ = [
    "age",
    "change_text",
    "clean",
    "line",
    "made_at",
    "moment",
    "rows",
    "section",
    "span",
    "verbatim",
]

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_OURS = frozenset({"undo"})
"""Parameters for the operator itself."""


def clean(value: object) -> str:
    """The value on one line without control characters: names and messages are hostile input.

    An escape sequence in a message would otherwise rewrite the reader's terminal.
    """
    return "".join(one if one.isprintable() else " " for one in str(value))


def line(*parts: object) -> Text:
    """One line of cleaned text that is never read as markup."""
    return Text(" ".join(clean(one) for one in parts))


def span(seconds: float) -> str:
    """A length of time in the two largest units, for example 1h5m."""
    rest = max(0, int(seconds))
    found: list[str] = []
    for length, unit in _UNITS:
        count, rest = divmod(rest, length)
        if count or found:
            found.append(f"{count}{unit}" if count else "")
    return "".join(found[:2]) or "0s"


def age(at: datetime | None, now: datetime) -> str:
    """How long ago, or nothing when that is not known."""
    return span((now - at).total_seconds()) if at is not None else ""


def moment(at: datetime) -> str:
    """A time in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def made_at(found: DecisionObject) -> datetime | None:
    return found.metadata.creation_timestamp


def change_text(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What an action changes, for example `replicas 2 → 3`."""
    return ", ".join(
        f"{clean(name)} {clean(before.get(name, 'none'))} → {clean(value)}"
        for name, value in after.items()
        if name not in _OURS
    )


def verbatim(*parts: object) -> Text:
    """A line that is never wrapped or cut: a command or a query that a person copies."""
    found = line(*parts)
    found.no_wrap, found.overflow = True, "ignore"
    return found


def section(title: str, *content: RenderableType) -> Group:
    """A heading and what stands below it, indented."""
    return Group(Text(""), Text(title, style="bold"), *map(_indented, content))


def _indented(one: RenderableType) -> RenderableType:
    # Padding cuts what is wider than the screen, so a verbatim line gets its blanks here.
    if isinstance(one, Text) and one.no_wrap:
        return verbatim("") + Text("  ") + one
    return Padding(one, (0, 0, 0, 2), expand=False)


def rows(pairs: Iterable[tuple[str, str]]) -> Table:
    """Aligned names and values; a pair without a value is left out."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            grid.add_row(Text(name), line(value))
    return grid
