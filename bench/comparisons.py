"""The comparisons that `make bench` runs: which load, which controllers, which seeds.

Held-out loads were named here before they were first played. Where a constant was changed because
of what one of them showed, that one is held out no longer.
"""

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

AZURE = Path("azure_llm") / "AzureLLMInferenceTrace_code.csv"
SERVEGEN = Path("servegen") / "rate_10min_m-large.csv"

ALL = (
    *("aurora", "static", "hpa", "hpa-queue", "keda-rate"),
    *("llmd-slo", "llmd-slo-tuned", "runbook", "oracle"),
)
LONG = ("aurora", "static", "hpa", "keda-rate", "llmd-slo", "llmd-slo-tuned")
"""On whole days and what is held out: the oracle plays its load 24 times."""
RIVALS = ("aurora", "static", "llmd-slo", "llmd-slo-tuned")
PAIR = ("aurora", "llmd-slo")
"""On loads that are held out and long: what has to be shown there is the one against the other."""
ABLATIONS = (
    *("aurora", "aurora-without-critic", "aurora-without-forecast"),
    *("aurora-without-capacity", "aurora-without-memory"),
)
RESPONDERS = ("aurora", "flagger", "runbook")


class Standing(Enum):
    """What a load is to the constants of AURORA and of the baselines."""

    TUNED_ON = "tuned on"
    LOOKED_AT = "looked at while tuning"
    HELD_OUT = "held out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One run of `aurora simulate compare`.

    Attributes:
        name: of its result, bench/results/compare_NAME.json.
        title: what a table calls it.
        trace: file below the data folder.
        controllers: by name.
        options: further options of the command.
        share: of the seeds that are asked for; long loads are played on fewer.
        first_seed: the first of them.
    """

    name: str
    title: str
    trace: Path
    controllers: tuple[str, ...]
    standing: Standing
    options: str = ""
    share: float = 1.0
    first_seed: int = 1

    def seeds(self, asked: int) -> int:
        """How many seeds to play, at least one."""
        return max(1, round(asked * self.share))

    def command(self, trace: str, *, seeds: int, workers: int) -> tuple[str, ...]:
        """The arguments of `python`."""
        return (
            *("-m", "aurora.cli", "simulate", "compare", "--trace", trace),
            *("--controllers", ",".join(self.controllers)),
            *("--seeds", str(self.seeds(seeds)), "--first-seed", str(self.first_seed)),
            *self.options.split(),
            *("--workers", str(workers), "--output", "json"),
        )


DAYS = 3 / 20
WHOLE_AZURE = "--fault {}:0:3440:{}"


def _azure(name: str, title: str, controllers: tuple[str, ...], options: str = "") -> Comparison:
    return Comparison(
        name=name,
        title=title,
        trace=AZURE,
        controllers=controllers,
        standing=Standing.LOOKED_AT,
        options=options,
    )


def _servegen(  # noqa: PLR0913 - the parts of one comparison
    name: str,
    title: str,
    controllers: tuple[str, ...],
    *,
    from_hour: int,
    hours: int,
    standing: Standing = Standing.LOOKED_AT,
) -> Comparison:
    """Some hours of the two weeks; whole days are played on fewer seeds."""
    return Comparison(
        name=name,
        title=title,
        trace=SERVEGEN,
        controllers=controllers,
        standing=standing,
        options=f"--from-hour {from_hour} --hours {hours} --no-truth",
        share=DAYS if hours >= 24 else 1.0,
    )


def _day(
    number: int, controllers: tuple[str, ...], standing: Standing = Standing.LOOKED_AT
) -> Comparison:
    return _servegen(
        f"servegen_day{number}",
        f"ServeGen, day {number}",
        controllers,
        from_hour=24 * (number - 1),
        hours=24,
        standing=standing,
    )


def _steep(
    name: str,
    controllers: tuple[str, ...],
    days: str,
    *,
    from_hour: int,
    standing: Standing = Standing.LOOKED_AT,
) -> Comparison:
    """The steepest four hours of some days."""
    return _servegen(
        f"servegen_steep{name}",
        f"ServeGen, steepest four hours{days} ({from_hour} to {from_hour + 4})",
        controllers,
        from_hour=from_hour,
        hours=4,
        standing=standing,
    )


OPERATING_POINT = (
    _azure("azure", "Azure code, whole", ALL),
    replace(
        _azure("azure_first", "Azure code, first half", RIVALS, "--hours 0.4777"),
        standing=Standing.TUNED_ON,
    ),
    _azure("azure_second", "Azure code, second half", RIVALS, "--from-hour 0.4777"),
    _servegen("servegen_days", "ServeGen, days 1 and 2", LONG, from_hour=0, hours=48),
    _steep("", ALL, "", from_hour=21),
)
FURTHER = (
    _day(8, LONG),
    _day(14, LONG),
    _steep("_late", LONG, " of days 8 to 14", from_hour=233),
    _day(12, PAIR),
    _steep("_last", PAIR, " of days 11 to 14", from_hour=311),
    _day(10, PAIR),
    _day(11, PAIR),
    _steep("_middle", PAIR, " of days 11 and 12", from_hour=248),
    _day(13, PAIR),
    _steep("_ninth", PAIR, " of day 9", from_hour=202),
    _day(5, PAIR, Standing.HELD_OUT),
    _day(6, PAIR, Standing.HELD_OUT),
    _steep("_early", PAIR, " of days 5 and 6", from_hour=136, standing=Standing.HELD_OUT),
)
"""Held out when they were first played, and since then as far as they say so."""
TOGETHER = (("ServeGen, days 5 and 6 together", ("servegen_day5", "servegen_day6")),)
"""Rows of the table of loads that sum up others, seed by seed: title and names, one standing."""
PARTS = (
    _azure("ablation_azure", "Azure code, whole", ABLATIONS, "--no-truth"),
    _servegen("ablation_steep", "ServeGen, steepest four hours", ABLATIONS, from_hour=21, hours=4),
    _servegen("ablation_day8", "ServeGen, day 8", ABLATIONS, from_hour=168, hours=24),
    _azure(
        "ablation_faults",
        "Azure code, half of the requests fail for 20 min",
        ABLATIONS,
        "--fallback 8 --fault errors:1200:2400:0.5 --no-truth",
    ),
)


def _adverse(name: str, title: str, options: str, *more: str) -> Comparison:
    return _azure(name, title, (*RIVALS, "keda-rate", *more), f"{options} --no-truth")


ADVERSE = (
    _adverse("step", "load x 2.5 from minute 15 to 45", "--fault load:900:2700:2.5"),
    _adverse(
        "spikes", "load x 3 for 2 min, at random, 12 min apart", WHOLE_AZURE.format("spikes", 3)
    ),
    _adverse("lies_low", "latencies read as half", WHOLE_AZURE.format("lies", 0.5)),
    _adverse("lies_high", "latencies read as double", WHOLE_AZURE.format("lies", 2)),
    _adverse("blackout", "no metrics from minute 15 to 45", "--fault metrics:900:2700"),
    _adverse("slow_start", "cold start x 3", "--cold-start 3"),
    _adverse(
        "wrong_curve",
        "capacity learned on other servers",
        "",
        *("aurora-overrating", "aurora-underrating"),
    ),
)


def _response(name: str, title: str, options: str, trace: Path = SERVEGEN) -> Comparison:
    return Comparison(
        name=name,
        title=title,
        trace=trace,
        controllers=RESPONDERS,
        standing=Standing.LOOKED_AT,
        options=f"--fallback 8 --no-truth {options}",
    )


_HOUR = "--from-hour 8 --hours 1"
_FOUR = "--from-hour 8 --hours 4"
RESPONSES = (
    _response("errors", "half of the requests fail", f"{_HOUR} --fault errors:1200:2400:0.5"),
    _response("errors_few", "15 % of the requests fail", f"{_HOUR} --fault errors:1200:2400:0.15"),
    _response("errors_azure", "half fail, Azure code", "--fault errors:1200:2400:0.5", AZURE),
    _response("slow", "servers 4 times as slow", f"{_HOUR} --fault latency:1200:2400:4"),
    _response("noise", "no fault, 2 % of errors on average", f"{_FOUR} --fault noise:0:14400:0.02"),
    _response(
        "noise_high", "no fault, 4 % of errors on average", f"{_FOUR} --fault noise:0:14400:0.04"
    ),
)


def _fresh(name: str, title: str, options: str, trace: Path = AZURE) -> Comparison:
    return Comparison(
        name=name,
        title=title,
        trace=trace,
        controllers=("aurora",),
        standing=Standing.LOOKED_AT,
        options=options,
        first_seed=101,
    )


VERDICTS = (
    _fresh("verdicts_8", "Azure code, 8 replicas at the start", ""),
    _fresh("verdicts_4", "Azure code, 4 at the start", "--replicas 1,4,16"),
    _fresh("verdicts_3", "Azure code, 3 at the start", "--replicas 1,3,16"),
    _fresh("verdicts_steep", "ServeGen, steepest four hours", "--from-hour 21 --hours 4", SERVEGEN),
)
COMPARISONS = (*OPERATING_POINT, *FURTHER, *PARTS, *ADVERSE, *RESPONSES, *VERDICTS)
