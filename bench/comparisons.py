"""The comparisons that `make bench` runs: which load, which controllers, which seeds.

Held-out loads were named here before they were first played. Where a constant was changed because
of what one of them showed, that one is held out no longer.
"""

from dataclasses import dataclass
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

OPERATING_POINT = (
    Comparison(
        name="azure",
        title="Azure code, whole",
        trace=AZURE,
        controllers=ALL,
        standing=Standing.LOOKED_AT,
    ),
    Comparison(
        name="azure_first",
        title="Azure code, first half",
        trace=AZURE,
        controllers=RIVALS,
        standing=Standing.TUNED_ON,
        options="--hours 0.4777",
    ),
    Comparison(
        name="azure_second",
        title="Azure code, second half",
        trace=AZURE,
        controllers=RIVALS,
        standing=Standing.LOOKED_AT,
        options="--from-hour 0.4777",
    ),
    Comparison(
        name="servegen_days",
        title="ServeGen, days 1 and 2",
        trace=SERVEGEN,
        controllers=LONG,
        standing=Standing.LOOKED_AT,
        options="--from-hour 0 --hours 48 --no-truth",
        share=DAYS,
    ),
    Comparison(
        name="servegen_steep",
        title="ServeGen, steepest four hours (21 to 25)",
        trace=SERVEGEN,
        controllers=ALL,
        standing=Standing.LOOKED_AT,
        options="--from-hour 21 --hours 4 --no-truth",
    ),
)
HELD_OUT = (
    Comparison(
        name="servegen_day8",
        title="ServeGen, day 8",
        trace=SERVEGEN,
        controllers=LONG,
        standing=Standing.LOOKED_AT,
        options="--from-hour 168 --hours 24 --no-truth",
        share=DAYS,
    ),
    Comparison(
        name="servegen_day14",
        title="ServeGen, day 14",
        trace=SERVEGEN,
        controllers=LONG,
        standing=Standing.LOOKED_AT,
        options="--from-hour 312 --hours 24 --no-truth",
        share=DAYS,
    ),
    Comparison(
        name="servegen_steep_late",
        title="ServeGen, steepest four hours of days 8 to 14 (233 to 237)",
        trace=SERVEGEN,
        controllers=LONG,
        standing=Standing.LOOKED_AT,
        options="--from-hour 233 --hours 4 --no-truth",
    ),
    Comparison(
        name="servegen_day12",
        title="ServeGen, day 12",
        trace=SERVEGEN,
        controllers=PAIR,
        standing=Standing.HELD_OUT,
        options="--from-hour 264 --hours 24 --no-truth",
        share=DAYS,
    ),
    Comparison(
        name="servegen_steep_last",
        title="ServeGen, steepest four hours of days 11 to 14 (311 to 315)",
        trace=SERVEGEN,
        controllers=PAIR,
        standing=Standing.LOOKED_AT,
        options="--from-hour 311 --hours 4 --no-truth",
    ),
    Comparison(
        name="servegen_day10",
        title="ServeGen, day 10",
        trace=SERVEGEN,
        controllers=PAIR,
        standing=Standing.LOOKED_AT,
        options="--from-hour 216 --hours 24 --no-truth",
        share=DAYS,
    ),
    Comparison(
        name="servegen_day11",
        title="ServeGen, day 11",
        trace=SERVEGEN,
        controllers=PAIR,
        standing=Standing.HELD_OUT,
        options="--from-hour 240 --hours 24 --no-truth",
        share=DAYS,
    ),
    Comparison(
        name="servegen_steep_middle",
        title="ServeGen, steepest four hours of days 11 and 12 (248 to 252)",
        trace=SERVEGEN,
        controllers=PAIR,
        standing=Standing.HELD_OUT,
        options="--from-hour 248 --hours 4 --no-truth",
    ),
    Comparison(
        name="servegen_day13",
        title="ServeGen, day 13",
        trace=SERVEGEN,
        controllers=PAIR,
        standing=Standing.LOOKED_AT,
        options="--from-hour 288 --hours 24 --no-truth",
        share=DAYS,
    ),
    Comparison(
        name="servegen_steep_ninth",
        title="ServeGen, steepest four hours of day 9 (202 to 206)",
        trace=SERVEGEN,
        controllers=PAIR,
        standing=Standing.LOOKED_AT,
        options="--from-hour 202 --hours 4 --no-truth",
    ),
)
PARTS = (
    Comparison(
        name="ablation_azure",
        title="Azure code, whole",
        trace=AZURE,
        controllers=ABLATIONS,
        standing=Standing.LOOKED_AT,
        options="--no-truth",
    ),
    Comparison(
        name="ablation_steep",
        title="ServeGen, steepest four hours",
        trace=SERVEGEN,
        controllers=ABLATIONS,
        standing=Standing.LOOKED_AT,
        options="--from-hour 21 --hours 4 --no-truth",
    ),
    Comparison(
        name="ablation_day8",
        title="ServeGen, day 8",
        trace=SERVEGEN,
        controllers=ABLATIONS,
        standing=Standing.LOOKED_AT,
        options="--from-hour 168 --hours 24 --no-truth",
        share=DAYS,
    ),
    Comparison(
        name="ablation_faults",
        title="Azure code, half of the requests fail for 20 min",
        trace=AZURE,
        controllers=ABLATIONS,
        standing=Standing.LOOKED_AT,
        options="--fallback 8 --fault errors:1200:2400:0.5 --no-truth",
    ),
)


def _adverse(name: str, title: str, options: str, *more: str) -> Comparison:
    return Comparison(
        name=name,
        title=title,
        trace=AZURE,
        controllers=(*RIVALS, "keda-rate", *more),
        standing=Standing.LOOKED_AT,
        options=f"{options} --no-truth",
    )


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
COMPARISONS = (*OPERATING_POINT, *HELD_OUT, *PARTS, *ADVERSE, *RESPONSES, *VERDICTS)
