"""Values that are quick to make are the same values, and as frozen as the others."""

import copy
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.values import changed, quick


@dataclass(frozen=True, slots=True)
class Plain:
    """As `Quick`, made as dataclasses make it."""

    name: str
    load: float = 1.5
    tags: Mapping[str, int] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    """A value with every kind of field."""

    name: str
    load: float = 1.5
    tags: Mapping[str, int] = field(default_factory=dict)


some = st.fixed_dictionaries(
    {"name": st.text()},
    optional={"load": st.floats(), "tags": st.dictionaries(st.text(), st.integers())},
)


@given(made=some, then=some)
def test_it_is_made_and_changed_as_dataclasses_do_it(
    made: dict[str, Any], then: dict[str, Any]
) -> None:
    plain, one = Plain(**made), Quick(**made)
    assert (type(one), repr(one)) == (Quick, repr(plain).replace("Plain", "Quick"))
    assert one == Quick(*(getattr(plain, known.name) for known in fields(plain)))
    other = changed(one, **then)
    assert (type(other), repr(other)) == (Quick, repr(replace(one, **then)))
    assert repr(one) == repr(Quick(**made))


def test_it_is_frozen_once_it_is_made() -> None:
    for one in (Quick("a"), changed(Quick("a"), load=2.0)):
        with pytest.raises(FrozenInstanceError):
            one.load = 3.0  # type: ignore[misc]
        with pytest.raises((TypeError, AttributeError)):
            one.price = 3.0  # type: ignore[attr-defined]


def test_what_a_factory_makes_is_not_shared() -> None:
    assert Quick("a").tags == {}
    assert Quick("a").tags is not Quick("a").tags


def test_fields_that_are_wrong_or_missing_are_refused() -> None:
    with pytest.raises(TypeError, match="name"):
        Quick()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="price"):
        Quick("a", price=1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="price"):
        changed(Quick("a"), price=1)


def test_it_can_be_copied_hashed_and_sent() -> None:
    one = Quick("a", 2.0, {"b": 1})
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert hash(Quick("a", tags=())) == hash(Quick("a", tags=()))  # type: ignore[arg-type]
