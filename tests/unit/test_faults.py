"""Faults of an input are told with their place and without the value, which may be a secret."""

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from aurora.faults import one_line


class Inner(BaseModel):
    port: int = 1
    name: str = ""

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if value:
            raise ValueError("this is too long: shorten it")
        return value


class Outer(BaseModel):
    inner: Inner


def fault(value: object) -> ValidationError:
    with pytest.raises(ValidationError) as found:
        Outer.model_validate(value)
    return found.value


def test_each_fault_is_told_with_its_place() -> None:
    error = fault({"inner": {"port": "s3cret", "name": "s3cret"}})
    assert one_line(error) == (
        "inner.port: Input should be a valid integer, unable to parse string as an integer; "
        "inner.name: this is too long: shorten it"
    )
    assert "s3cret" not in one_line(error)


def test_places_are_named_as_the_caller_wants() -> None:
    error = fault({"inner": {"name": "x"}})
    told = one_line(error, named=lambda keys: "_".join(keys).upper())
    assert told.startswith("INNER_NAME: this is")


def test_a_fault_of_everything_has_a_place_too() -> None:
    assert one_line(fault(5), whole="the document").startswith("the document: ")
