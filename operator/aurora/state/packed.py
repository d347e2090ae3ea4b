"""Rows of numbers in 8 bytes a number: as tuples of floats they take five times as much.

What is remembered of a model is some thousand numbers, and a fleet has 10,000 models. In a record
they are put together as they are (`aurora.state.sealed`): row by row would take ten times as long.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, TypeVar, overload

from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from aurora.state.sealed import place_in, placed

__all__ = ["Hours", "Numbers", "Packed"]

Row = TypeVar("Row")


class _Kept(Protocol):
    """What `_schema` needs of a class below."""

    GAPS: ClassVar[bool]
    WIDTH: ClassVar[int]
    ROWS: ClassVar[Any]
    _numbers: "array[float]"

    def __init__(self, rows: Any = (), *, numbers: "array[float] | None" = None) -> None: ...


def _schema(
    cls: type[_Kept], handler: GetCoreSchemaHandler, rows: Callable[[Any], Any]
) -> CoreSchema:
    """In a record the place among its numbers, where the context has them; else all rows."""

    def write(value: Any, info: SerializationInfo) -> Any:
        if info.context is None:
            return rows(value)
        kept = value if isinstance(value, cls) else cls(value)  # plain rows are as good
        return place_in(info.context, kept._numbers)  # noqa: SLF001

    def read(value: Any, inner: Callable[[Any], Any], info: ValidationInfo) -> _Kept:
        if not isinstance(value, str):
            return cls(inner(value))
        return cls(numbers=placed(info.context, value, width=cls.WIDTH, gaps=cls.GAPS))

    return core_schema.with_info_wrap_validator_function(
        read,
        handler.generate_schema(cls.ROWS),
        serialization=core_schema.plain_serializer_function_ser_schema(write, info_arg=True),
    )


class Packed(Sequence[Row]):
    """An immutable sequence of rows; it equals any sequence of the same rows.

    Attributes:
        WIDTH: numbers in a row.
        ROWS: the type that an old record is read as, a tuple of rows.
        GAPS: whether a number may be NaN, for what was not measured.
    """

    __slots__ = ("_numbers",)
    GAPS: ClassVar[bool] = False
    WIDTH: ClassVar[int]
    ROWS: ClassVar[Any]

    def __init__(self, rows: Iterable[Row] = (), *, numbers: "array[float] | None" = None) -> None:
        self._numbers = array("d") if numbers is None else numbers
        for row in rows:
            self._numbers.extend(self._packed(row))

    def __bool__(self) -> bool:
        return bool(self._numbers)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self:
        """The rows as they are, or packed."""
        return rows if isinstance(rows, cls) else cls(rows)

    @staticmethod
    def _packed(row: Row) -> Iterable[float]:
        return row  # type: ignore[return-value]

    @staticmethod
    def _unpacked(numbers: "array[float]") -> Row:
        return tuple(numbers)  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self._numbers) // self.WIDTH

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, place: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        begin = range(len(self))[place] * self.WIDTH
        return self._unpacked(self._numbers[begin : begin + self.WIDTH])

    def __eq__(self, other: object) -> bool:
        if type(other) is type(self):
            # As bytes: what was not measured is kept as NaN, which equals nothing.
            return self._numbers.tobytes() == other._numbers.tobytes()
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(self._numbers.tobytes())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)})"

    @property
    def flat(self) -> "array[float]":
        """The numbers of all rows, one row after the other; not to be changed."""
        return self._numbers

    def column(self, place: int) -> "array[float]":
        """One number of every row."""
        return self._numbers[place :: self.WIDTH]

    def appended(self, row: Row, *, keep: int) -> Self:
        """With one more row at the end, and without the first ones beyond `keep`."""
        kept = self._numbers[max(0, len(self._numbers) - (keep - 1) * self.WIDTH) :]
        # Put together, not extended: an array that grows takes room for more than it needs.
        return type(self)(numbers=kept + array("d", self._packed(row)))

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _schema(cls, handler, list)


class Numbers(Packed[float]):
    """Single numbers."""

    __slots__ = ()
    WIDTH = 1
    ROWS = tuple[float, ...]

    @staticmethod
    def _packed(row: float) -> Iterable[float]:
        return (row,)

    @staticmethod
    def _unpacked(numbers: "array[float]") -> float:
        return numbers[0]

    def __iter__(self) -> Iterator[float]:
        return iter(self._numbers)


class Hours(Mapping[int, Row]):
    """What is known of hours of the day, by hour: rows with the hour in front.

    Attributes:
        WIDTH: numbers in a row, the hour among them.
        ROWS: the type that an old record is read as, a dict by hour.
        GAPS: as of `Packed`.
    """

    __slots__ = ("_numbers",)
    GAPS: ClassVar[bool] = False
    WIDTH: ClassVar[int]
    ROWS: ClassVar[Any]

    def __init__(
        self, hours: Mapping[int, Row] | None = None, *, numbers: "array[float] | None" = None
    ) -> None:
        self._numbers = array("d") if numbers is None else numbers
        if hours:
            for hour, row in hours.items():
                self._numbers.extend((hour, *row))  # type: ignore[misc]

    @staticmethod
    def _unpacked(numbers: "array[float]") -> Row:
        return tuple(numbers)  # type: ignore[return-value]

    def __getitem__(self, hour: int) -> Row:
        row = self.known(hour)
        if row is None:
            raise KeyError(hour)
        return row

    def known(self, hour: int) -> Row | None:
        """The row of an hour; None where nothing is known of it, at no cost of an exception."""
        begin = self._begin(hour)
        if begin is None:
            return None
        return self._unpacked(self._numbers[begin + 1 : begin + self.WIDTH])

    def __iter__(self) -> Iterator[int]:
        return map(int, self._numbers[:: self.WIDTH])

    def __len__(self) -> int:
        return len(self._numbers) // self.WIDTH

    def __hash__(self) -> int:
        return hash(self._numbers.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    def with_hour(self, hour: int, row: Row) -> Self:
        """With another row for one hour."""
        numbers, begin = self._numbers[:], self._begin(hour)
        begin = len(numbers) if begin is None else begin
        numbers[begin : begin + self.WIDTH] = array("d", (hour, *row))  # type: ignore[misc]
        return type(self)(numbers=numbers)

    def _begin(self, hour: int) -> int | None:
        hours = self._numbers[:: self.WIDTH]
        return hours.index(hour) * self.WIDTH if hour in hours else None

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _schema(cls, handler, dict)
