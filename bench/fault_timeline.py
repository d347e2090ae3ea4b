"""One fault, second by second: what callers saw, and what AURORA and Flagger's rule did about it.

python -m bench.fault_timeline [--trace FILE] [--from-hour 8] [--seed 1] [--output json]
"""

import argparse
import json
from dataclasses import replace
from typing import Any

import numpy as np

from aurora.simulator.calibration import CALIBRATED
from aurora.simulator.compare import Plan, draw
from aurora.simulator.controllers import Context, build
from aurora.simulator.faults import ErrorFault
from aurora.simulator.run import play
from aurora.simulator.scoring import met_both, score
from aurora.simulator.settings import FallbackSettings, SimulationSettings
from aurora.simulator.sources import open_source

FAULT = ErrorFault(1200.0, 2400.0, 0.5)
BIN_S = 20.0


def timeline(plan: Plan, controller: str, seed: int) -> dict[str, Any]:
    """Play one seed and tell per 20 s how many requests arrived and how many were good."""
    trace = draw(plan, seed)
    built = build(controller, Context(plan.settings, trace, seed))
    journal = play(trace, built, seed, plan.settings)
    good = met_both(journal, trace, plan.settings.objectives)
    bins = (trace.times // BIN_S).astype(np.int64)
    result = score(journal, trace, controller, seed, plan.settings)
    actions = [{"at": a.at, "what": a.action.kind.value} for a in journal.actions]
    return {
        "controller": controller,
        "arrived": np.bincount(bins).tolist(),
        "good": np.bincount(bins, good).tolist(),
        "actions": actions,
        "scalings": [{"at": s.at, "before": s.before, "after": s.after} for s in journal.scalings],
        "failed": result.failed,
        "mitigate_s": result.mitigate_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trace", default="builtin")
    parser.add_argument("--from-hour", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    settings = SimulationSettings()
    settings = replace(settings, faults=(FAULT,), fallback=FallbackSettings(settings.server, 8))
    window = {"start_s": arguments.from_hour * 3600, "duration_s": 3600.0}
    opened = open_source(arguments.trace, **({} if arguments.trace == "builtin" else window))
    factor = CALIBRATED[opened.kind or "builtin"]
    plan = Plan(source=opened.source, factor=factor, settings=settings)
    lines = [timeline(plan, name, arguments.seed) for name in ("aurora", "flagger")]
    result = {
        "trace": opened.source.name,
        "fault": {"start": FAULT.start, "end": FAULT.end, "ratio": FAULT.ratio},
        "bin_s": BIN_S,
        "controllers": lines,
    }
    if arguments.output == "json":
        print(json.dumps(result, indent=2))
        return
    for line in lines:
        print(f"{line['controller']}: {line['failed']} failed, mitigated {line['mitigate_s']} s")
        for action in line["actions"]:
            print(f"  {action['at']:6.0f} s {action['what']}")


if __name__ == "__main__":
    main()
