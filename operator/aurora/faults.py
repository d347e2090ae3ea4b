"""What pydantic finds wrong with an input, in words."""

from collections.abc import Callable, Sequence

from pydantic import ValidationError

__all__ = ["one_line"]


def one_line(
    error: ValidationError, *, named: Callable[[Sequence[str]], str] = ".".join, whole: str = ""
) -> str:
    """Say each fault as `place: what is wrong`, on one line and without the values found.

    A value may hold a secret, so it never comes into a message.

    Args:
        error: what pydantic raised.
        named: a place in words, from the keys that lead to it.
        whole: the place of a fault that is about everything.
    """
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{named([str(part) for part in fault['loc']]) or whole}: "
        f"{fault['msg'].removeprefix('Value error, ')}"
        for fault in faults
    )
