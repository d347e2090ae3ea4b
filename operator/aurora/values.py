"""Frozen values that are made by the ten thousand: as cheap to make as if they were not frozen.

A frozen dataclass sets each field through `object.__setattr__`, at 50 ns a field, and
`dataclasses.replace` walks over all fields besides. A control cycle over 10,000 models makes
200,000 of them with 5 to 25 fields.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, Final, TypeVar

__all__ = ["changed", "quick"]

Value = TypeVar("Value")
_UNSET: Final = object()


def quick(cls: type[Value]) -> type[Value]:
    """Give a dataclass with `frozen` and `slots` a quick `__init__`, and one for `changed`.

    While its fields are set, an object is of a twin class that is not frozen and has the same
    slots; nobody else has it in hand by then.
    """
    known = fields(cls)  # type: ignore[arg-type]
    names = [one.name for one in known]
    twin = type(cls.__name__, (), {"__slots__": tuple(names)})
    scope: dict[str, Any] = {"_unset": _UNSET, "_twin": twin, "_own": cls, "_new": twin.__new__}
    scope["_become"] = object.__setattr__
    given, filled = [], []
    for place, one in enumerate(known):
        if one.default_factory is not MISSING:
            scope[f"_factory{place}"] = one.default_factory
            filled.append(f" if {one.name} is _unset: {one.name} = _factory{place}()")
        given.append(_argument(one, place, scope))
    told = [f" self.{name} = {name}" for name in names]
    body = [f"def __init__(self, {', '.join(given)}):", *filled]
    body += [" _become(self, '__class__', _twin)", *told, " self.__class__ = _own"]
    body += ["def __replace__(self, /, **changes):", " made = _new(_twin)"]
    body += [f" made.{name} = self.{name}" for name in names]
    body += [" for name, value in changes.items(): setattr(made, name, value)"]
    body += [" made.__class__ = _own", " return made"]
    exec("\n".join(body), scope)  # noqa: S102 - names of fields alone, as in dataclasses
    made: Callable[..., None] = scope["__init__"]
    made.__annotations__ = cls.__init__.__annotations__
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = made  # type: ignore[method-assign]
    cls.__replace__ = scope["__replace__"]  # type: ignore[attr-defined]
    return cls


def _argument(one: "Field[Any]", place: int, scope: dict[str, Any]) -> str:
    if one.default is not MISSING:
        scope[f"_default{place}"] = one.default
        return f"{one.name}=_default{place}"
    return f"{one.name}=_unset" if one.default_factory is not MISSING else one.name


def changed(one: Value, **changes: Any) -> Value:
    """What `dataclasses.replace` gives, of a `quick` value.

    Raises:
        AttributeError: there is no such field.
    """
    made: Value = one.__replace__(**changes)  # type: ignore[attr-defined]
    return made
