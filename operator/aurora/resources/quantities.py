"""Annotated types for durations, bytes, decimals, percents and names.

Specs hold no floats: a duration is a string such as `1h30m`, bytes are a Kubernetes quantity such
as `512Mi`, a fraction is a decimal string such as `"2.50"`, a share is an integer percent. In
Python they are `timedelta`, `int`, `Decimal` and `int`.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from aurora.resources.cel import Rule

# Go's time.ParseDuration without signs, fractions and units below the millisecond: CEL's
# duration() reads the same text. Six digits in at most 18 characters stay below its 292 years,
# and the longest duration keeps its canonical text within both limits.
DURATION_PATTERN: Final = "^([0-9]{1,6}(ms|s|m|h))+$"
DURATION_LENGTH: Final = 18
LONGEST: Final = timedelta(hours=999_999)
_DURATION: Final = re.compile(DURATION_PATTERN)
_DURATION_PART: Final = re.compile("([0-9]+)(ms|s|m|h)")
_MILLISECONDS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}

_QUANTITY: Final = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$")
_FACTOR: Final = {
    "": 1,
    **{unit: 1024**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), start=1)},
    **{unit: 1000**power for power, unit in enumerate(("k", "M", "G", "T", "P"), start=1)},
}
_DECIMAL: Final = re.compile(r"^-?[0-9]+(\.[0-9]+)?$")


def parse_duration(value: object) -> timedelta:
    """Read `1h30m` or pass a timedelta through.

    Raises:
        ValueError: the text is not a sequence of numbers with ms, s, m or h.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError(f"{value!r} is not a duration: write it as 500ms, 30s, 5m or 1h30m")
    parts = _DURATION_PART.findall(value)
    duration = timedelta(milliseconds=sum(int(n) * _MILLISECONDS[unit] for n, unit in parts))
    if duration > LONGEST:
        raise ValueError(f"{value!r} is too long: write it as 999999h at most")
    return duration


def format_duration(value: timedelta) -> str:
    """Write the canonical text: largest unit first, no zero parts, `0s` for nothing."""
    rest = round(value / timedelta(milliseconds=1))
    if rest < 0:
        raise ValueError(f"{value} is negative: a duration is zero or more")
    text = ""
    for unit in ("h", "m", "s", "ms"):
        count, rest = divmod(rest, _MILLISECONDS[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_bytes(value: object) -> int:
    """Read a Kubernetes quantity such as `512Mi` as whole bytes.

    Raises:
        ValueError: the text is not a positive quantity or not a whole number of bytes.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not a size: write it as 512Mi or 2Gi")
    size = Decimal(found[1]) * _FACTOR[found[2] or ""]
    if size != size.to_integral_value():
        raise ValueError(f"{value!r} is not a whole number of bytes: write it as 512Mi or 2Gi")
    return int(size)


def format_bytes(value: int) -> str:
    """Write bytes with the largest binary unit that divides them exactly."""
    for unit in ("Pi", "Ti", "Gi", "Mi", "Ki"):
        if value and value % _FACTOR[unit] == 0:
            return f"{value // _FACTOR[unit]}{unit}"
    return str(value)


def parse_decimal(value: object) -> Decimal:
    """Read a plain decimal string; floats are refused because they do not round-trip.

    Raises:
        ValueError: the value is not a finite plain decimal.
    """
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError(f'{value!r} is not a decimal number: write it as a string such as "2.50"')
    try:
        return Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a decimal number") from error


def format_decimal(value: Decimal) -> str:
    """Write a decimal without exponent, keeping its digits."""
    return format(value, "f")


def format_timestamp(value: datetime) -> str:
    """Write RFC 3339 in UTC with whole seconds, as `metav1.Time` does."""
    # As strftime writes it, in a third of its time: a status has a dozen of them.
    return value.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


DURATION_RULE: Final = Rule(
    f"self.matches('{DURATION_PATTERN}') && duration(self) <= duration('999999h')",
    "write a duration as numbers with the units ms, s, m or h, for example 500ms, 30s, 5m or 1h30m",
)

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": DURATION_LENGTH}),
    DURATION_RULE,
]
"""Zero or more, in milliseconds at the finest."""

POSITIVE_RULE: Final = Rule(
    f"!self.matches('{DURATION_PATTERN}') || duration(self) > duration('0s')",
    "must be longer than 0s",
)

PositiveDuration = Annotated[Duration, POSITIVE_RULE]

BYTES_RULE: Final = Rule(
    "self.matches('^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$') && quantity(self).isGreaterThan(quantity('0'))",
    "write a size as a positive quantity, for example 512Mi or 2Gi",
)

Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes),
    PlainSerializer(format_bytes, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": 32}),
    BYTES_RULE,
]

DECIMAL_RULE: Final = Rule(
    "self.matches('^-?[0-9]+([.][0-9]+)?$')",
    'write a number as a quoted decimal without exponent, for example "0.25" or "1200"',
)

DecimalString = Annotated[
    Decimal,
    BeforeValidator(parse_decimal),
    PlainSerializer(format_decimal, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": 40}),
    DECIMAL_RULE,
]

Cost = Annotated[
    DecimalString,
    Rule(
        "!self.startsWith('-')",
        'a cost is zero or more: write it as a quoted decimal, for example "2.50"',
    ),
]

Percent = Annotated[int, Field(ge=0, le=100)]
PositivePercent = Annotated[int, Field(ge=1, le=100)]
Timestamp = Annotated[
    AwareDatetime,
    PlainSerializer(format_timestamp, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule(
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
        "use the object's name: lower-case letters, digits, '-' and '.', for example llama-8b",
    ),
]
ServiceName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule(
        "self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "use the Service's name alone: lower-case letters, digits and '-', without namespace, "
        "port or URL",
    ),
]
Uid = Annotated[str, Field(max_length=64)]
ShortText = Annotated[str, Field(max_length=253)]
LongText = Annotated[str, Field(max_length=1024)]
