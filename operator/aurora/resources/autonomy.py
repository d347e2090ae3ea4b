"""What AURORA may do by itself: mode, tiers, verification, cooldown, budgets."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from aurora.resources.base import Part
from aurora.resources.cel import Rule
from aurora.resources.quantities import Duration, PositiveDuration, PositivePercent
from aurora.resources.vocabulary import Action, Mode

ACTION_NAMES = tuple(action.value for action in Action if action is not Action.NO_ACTION)


def _refuse_no_action(action: Action) -> Action:
    if action is Action.NO_ACTION:
        raise ValueError("NO_ACTION is recorded, never an object")
    return action


DecidedAction = Annotated[
    Action,
    AfterValidator(_refuse_no_action),
    WithJsonSchema({"type": "string", "enum": list(ACTION_NAMES)}),
]
"""Every action but NO_ACTION."""


def _cron_field(value: str) -> str:
    """Return the pattern of one cron field: values, ranges and steps, comma-separated."""
    one = f"([*]|({value})(-({value}))?)(/[1-9][0-9]?)?"
    return f"{one}(,{one})*"


_DAYS = "sun|mon|tue|wed|thu|fri|sat"
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
CRON_PATTERN = "^{}$".format(
    " +".join(
        _cron_field(value)
        for value in (
            "[0-5]?[0-9]",
            "[01]?[0-9]|2[0-3]",
            "0?[1-9]|[12][0-9]|3[01]",
            f"0?[1-9]|1[0-2]|{_MONTHS}",
            f"[0-7]|{_DAYS}",
        )
    )
)

CronSchedule = Annotated[
    str,
    Field(min_length=9, max_length=100),
    Rule(
        f"self.lowerAscii().matches('{CRON_PATTERN}')",
        "write a schedule as five cron fields (minute, hour, day, month, weekday), for example "
        "'0 8 * * 5' for Fridays at 08:00",
    ),
]
TimeZone = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Rule(
        "self.matches('^[A-Za-z]') && self != 'Local'",
        "write a time zone of the IANA database, for example Europe/Berlin or UTC",
    ),
    # The API server's own time zone database is asked; an unknown name is an error of the rule.
    Rule(
        "!self.matches('^[A-Za-z]') || timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0",
        "write a time zone of the IANA database, for example Europe/Berlin or UTC",
    ),
]


class Thresholds(Part):
    """Confidence tiers."""

    auto_percent: PositivePercent = 90
    """Above it, what is safe is executed."""
    monitored_percent: PositivePercent = 70
    """From here up to autoPercent it is executed and watched closely; below, a person decides."""

    cel = (
        Rule(
            "self.autoPercent > self.monitoredPercent",
            "autoPercent must be above monitoredPercent: the tier that asks less needs more "
            "confidence",
            ".autoPercent",
        ),
    )


class Verification(Part):
    """When the effect of a decision is measured."""

    after: PositiveDuration = timedelta(minutes=2)
    """Wait after the change is in force."""
    window: PositiveDuration = Field(default=timedelta(minutes=5), alias="for")
    """Length of the window that is measured."""

    cel = (
        Rule(
            "duration(self.__for__) >= duration('30s')",
            "verification.for must be 30s or longer: a shorter window holds too few samples",
            ".for",
        ),
    )


class Cooldown(Part):
    """Shortest time between two actions in the same direction."""

    up: Duration = timedelta(minutes=5)
    """After an action, before the next one that adds."""
    down: Duration = timedelta(minutes=15)
    """After an action, before the next one that takes away."""


class Budget(Part):
    """At most so many actions, in a rolling time (`per`) or in a window (`schedule`)."""

    actions: int = Field(ge=0, le=1000)
    """Actions allowed; 0 freezes."""
    per: PositiveDuration | None = None
    """Rolling time over which actions are counted."""
    schedule: CronSchedule | None = None
    """Cron expression at which the window opens."""
    duration: PositiveDuration | None = None
    """How long the window stays open."""
    time_zone: TimeZone | None = None
    """IANA time zone of the schedule; UTC without it."""
    reasons: tuple[DecidedAction, ...] = Field(default=(), max_length=6)
    """Actions that the budget counts; all of them without it."""

    cel = (
        Rule(
            "has(self.per) != has(self.schedule)",
            "a budget counts either in a rolling time (per) or in a window (schedule and "
            "duration): set one of the two",
        ),
        Rule(
            "has(self.schedule) == has(self.duration)",
            "schedule and duration belong together: set both or neither",
        ),
        Rule(
            "!has(self.timeZone) || has(self.schedule)",
            "timeZone needs a schedule: add one or remove timeZone",
            ".timeZone",
        ),
    )


class Autonomy(Part):
    """How far AURORA goes without a person, and how fast."""

    mode: Mode = Mode.RECOMMEND
    """Observe (record only), Recommend (propose and wait) or Auto (act inside the guardrails)."""
    actions: dict[DecidedAction, Mode] = Field(default_factory=dict, max_length=6)
    """Mode per action, overrides mode, for example {SCALE: Auto}."""
    thresholds: Thresholds = Field(default_factory=Thresholds)
    """Confidence tiers."""
    verification: Verification = Field(default_factory=Verification)
    """When the effect is measured."""
    cooldown: Cooldown = Field(default_factory=Cooldown)
    """Shortest time between two actions."""
    max_step_percent: PositivePercent = 25
    """Largest change of replicas or weight in one step; at least one replica is allowed."""
    approval_ttl: PositiveDuration = Field(default=timedelta(hours=1), alias="approvalTTL")
    """How long a proposal waits for a person."""
    budgets: tuple[Budget, ...] = Field(
        default=(Budget(actions=4, per=timedelta(hours=1)),), max_length=8
    )
    """Limits on the number of actions; all of them hold. A list of yours replaces the default."""

    cel = (
        Rule(
            f"self.actions.all(a, a in {list(ACTION_NAMES)})",
            f"actions are named {', '.join(ACTION_NAMES)}",
            ".actions",
        ),
        Rule(
            "self.budgets.all(b, self.budgets.exists_one(c, c == b))",
            "two budgets are the same: remove one",
            ".budgets",
        ),
    )

    def mode_of(self, action: Action) -> Mode:
        """Return the mode that holds for one action."""
        return self.actions.get(action, self.mode)
