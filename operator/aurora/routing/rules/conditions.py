"""Conditions on a request, in the Common Expression Language (CEL, cel.dev).

Evaluated by `cel-expr-python`, the CEL team's binding of their C++ implementation (Apache-2.0; the
extra `rules`). A condition is compiled and type-checked against the fields of the request when the
policy is read, so a misspelt name is an error then and not a rule that never matches. CEL has no
loops but comprehensions, and these are refused: a condition's cost is then linear in its length,
which is bounded, and regular expressions are RE2's.
"""

import re
from importlib import import_module
from typing import Any, Final

from aurora.routing.errors import InputError
from aurora.routing.types import WorkloadContext

__all__ = ["VARIABLES", "Condition", "Conditions"]

VARIABLES: Final = {
    "workload_type": "STRING",
    "gpu_type": "STRING",
    "region": "STRING",
    "gpu_hours": "DOUBLE",
    "task_type": "STRING",
    "complexity": "DOUBLE",
    "tenant": "STRING",
    "token_estimate": "DOUBLE",
    "required_capability": "STRING",
    "session_key": "STRING",
}
"""What a condition may name, with its CEL type: the fields of WorkloadContext."""

MAX_LENGTH: Final = 1024
_GAP: Final = r"(?:\s|//[^\n]*\n)*"
"""What CEL allows between two words: white space and comments."""
_COMPREHENSION: Final = re.compile(rf"\.{_GAP}(all|exists|exists_one|map|filter){_GAP}\(")


class Condition:
    """One compiled condition."""

    __slots__ = ("_expression", "text")

    def __init__(self, text: str, expression: Any) -> None:
        self.text = text
        self._expression = expression

    def holds(self, values: dict[str, Any]) -> bool | None:
        """Whether it holds; None when it depends on something that is not known."""
        found = self._expression.eval(data=values).value()
        return found if isinstance(found, bool) else None


class Conditions:
    """Compiles conditions. Raises InputError when the extra is not installed."""

    def __init__(self) -> None:
        try:
            cel = import_module("cel_expr_python.cel")
        except ImportError as error:
            raise InputError(
                "conditions need the extra `rules`: install cel-expr-python"
            ) from error
        types = {name: getattr(cel.Type, kind) for name, kind in VARIABLES.items()}
        self._environment = cel.NewEnv(variables=types)

    def compile(self, text: str) -> Condition:
        """Compile one; InputError says where it is wrong."""
        if len(text) > MAX_LENGTH:
            raise InputError(f"a condition has {MAX_LENGTH} characters at most, not {len(text)}")
        if _COMPREHENSION.search(text):
            raise InputError(
                f"condition {text!r}: comprehensions (all, exists, map) are not allowed"
            )
        try:
            expression = self._environment.compile(text)
        except RuntimeError as error:
            raise InputError(f"condition {text!r}: {_reason(str(error))}") from None
        kind = expression.return_type().name()
        if kind != "BOOL":
            raise InputError(f"condition {text!r} gives {kind}, not true or false")
        return Condition(text, expression)


def values_of(context: WorkloadContext) -> dict[str, Any]:
    """The request as CEL sees it; what is not known is left out, never 0."""
    values = {name: getattr(context, name) for name in VARIABLES}
    return {
        name: float(value) if VARIABLES[name] == "DOUBLE" else value
        for name, value in values.items()
        if value is not None
    }


def _reason(message: str) -> str:
    """The first line of what CEL says, with the usual remedy."""
    line = message.splitlines()[0].removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: ")
    line = line.replace("<input>:", "at ")
    hint = " (numbers are decimal: write 4.0, not 4)" if "int)" in line else ""
    return line + hint
