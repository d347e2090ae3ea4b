"""Fit the server model to measured vLLM runs and score it on what it has not seen.

Each run is a folder with `requests.jsonl` (per-request times and token counts), `meta.json` and
`config.json`. The four step-time coefficients are fitted on the first 40 % of the arrivals; the
error is told for the last 60 %.

    python bench/fit_server.py --runs FOLDER [--output json]
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import OptimizeResult, minimize

from aurora.errors import AuroraError, UsageError
from aurora.simulator.engine import Replica
from aurora.simulator.parameters import NAMED_SERVERS, ServerParameters
from aurora.simulator.requests import Completion, Request

FITTED_SHARE = 0.4
LIMIT_PERCENT = 5.0
RESULT = Path(__file__).parent / "results" / "fit_server.json"
NAMES = ("step_s", "decode_s", "kv_s", "prefill_s")
CELLS = ("TTFT mean", "TTFT p95", "TPOT mean", "TPOT p95", "E2E mean", "E2E p95")
# The model's coefficients in the order of NAMES when nothing is known about the server.
START = np.array([25e-3, 100e-6, 10e-9, 90e-6])
# Starting points of the search, as logs of the multiples of START: the loss has local minima.
STARTS = ((0.0, 0.0, 0.0, 0.0), (0.5, 0.0, 0.0, 0.5), (0.0, 0.5, 0.5, 0.3))
# One load level does not identify all four coefficients; a weak pull towards START keeps the
# directions that the data leave open from drifting to 0. Any weight from 1e-4 to 1e-3 does.
PULL = 3e-4


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run; `measured` has a row (ttft, tpot, e2e) in seconds per request."""

    name: str
    requests: tuple[Request, ...]
    measured: np.ndarray
    limits: ServerParameters


def read_run(folder: Path) -> Run:
    try:
        lines = (folder / "requests.jsonl").read_text().splitlines()
        rows = sorted((json.loads(line) for line in lines), key=lambda row: row["arrival_time"])
        # The client's wall clock and the engine's monotonic clock differ by a constant; the
        # smallest gap between sending and queueing is taken as zero.
        offset = min(row["queued_ts"] - row["arrival_time"] for row in rows)
        arrivals = [row["arrival_time"] + offset for row in rows]
        requests = tuple(
            Request(i, at - arrivals[0], row["input_toks"], row["output_toks"])
            for i, (at, row) in enumerate(zip(arrivals, rows, strict=True))
        )
        measured = np.array([latencies(row, at) for row, at in zip(rows, arrivals, strict=True)])
        return Run(folder.name, requests, measured, limits_of(folder))
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(f"{folder} is not a measured run: {error}") from error


def latencies(row: dict[str, float], arrival: float) -> tuple[float, float, float]:
    decode = row["last_token_ts"] - row["first_token_ts"]
    tpot = decode / max(1, row["output_toks"] - 1)
    return row["first_token_ts"] - arrival, tpot, row["last_token_ts"] - arrival


def limits_of(folder: Path) -> ServerParameters:
    """Scheduler limits come from the run's own record; a KV capacity that it lacks, from ours."""
    meta = json.loads((folder / "meta.json").read_text())
    engine = meta["engine_kwargs"]
    known = named_for(folder.name)
    return replace(
        known,
        kv_capacity=meta.get("kv_cache", {}).get("num_kv_tokens", known.kv_capacity),
        max_running=engine["max_num_seqs"],
        token_budget=engine["max_num_batched_tokens"],
    )


def named_for(folder: str) -> ServerParameters:
    hardware, _, weights = folder.lower().partition("_")
    name = f"{weights}-{hardware}"
    if name not in NAMED_SERVERS:
        raise UsageError(f"no named server {name!r}: its KV capacity is unknown")
    return NAMED_SERVERS[name]


def simulate(run: Run, coefficients: np.ndarray) -> np.ndarray:
    values = dict(zip(NAMES, map(float, coefficients), strict=True))
    replica = Replica(replace(run.limits, **values))
    done: list[Completion] = []
    for request in run.requests:
        done += replica.advance(request.arrival)
        replica.submit(request)
    done += replica.advance(1e9)
    done.sort(key=lambda completion: completion.request.identifier)
    return np.array([(c.ttft_s, c.tpot_s or 0.0, c.e2e_s) for c in done])


def cells(latency: np.ndarray) -> np.ndarray:
    """Mean and p95 of each of the three latencies, in the order of CELLS."""
    return np.stack([latency.mean(axis=0), np.percentile(latency, 95, axis=0)], axis=1).ravel()


def fit(run: Run) -> np.ndarray:
    """Fit on the first arrivals only: the summary cells, and each request's end-to-end time."""
    seen = int(len(run.requests) * FITTED_SHARE)
    target, measured = cells(run.measured[:seen]), run.measured[:seen]

    def loss(logs: np.ndarray) -> float:
        simulated = simulate(run, START * np.exp(logs))[:seen]
        summary = float(np.mean((cells(simulated) / target - 1) ** 2))
        each = float(np.mean(((simulated - measured) / measured.mean(axis=0)) ** 2))
        return summary + 0.2 * each + PULL * float(logs @ logs)

    def search(start: np.ndarray) -> OptimizeResult:
        return minimize(loss, start, method="Nelder-Mead", options={"maxfev": 300})

    # A restart rebuilds the collapsed simplex.
    found = [search(search(np.array(start)).x) for start in STARTS]
    return np.asarray(START * np.exp(min(found, key=lambda result: result.fun).x))


def score(run: Run, coefficients: np.ndarray) -> list[float]:
    """Errors in percent on the arrivals that the fit has not seen, in the order of CELLS."""
    seen = int(len(run.requests) * FITTED_SHARE)
    errors = cells(simulate(run, coefficients)[seen:]) / cells(run.measured[seen:]) - 1
    return [float(error) * 100 for error in errors]


def evaluate(run: Run) -> dict[str, object]:
    fitted = fit(run)
    shipped = np.array([getattr(named_for(run.name), name) for name in NAMES])
    begin = time.process_time()
    simulate(run, fitted)
    return {
        "run": run.name,
        "fitted": dict(zip(NAMES, map(float, fitted), strict=True)),
        "fitted_error_percent": dict(zip(CELLS, score(run, fitted), strict=True)),
        "shipped": dict(zip(NAMES, map(float, shipped), strict=True)),
        "shipped_error_percent": dict(zip(CELLS, score(run, shipped), strict=True)),
        "requests": len(run.requests),
        "scored": len(run.requests) - int(len(run.requests) * FITTED_SHARE),
        "cpu_ms": (time.process_time() - begin) * 1e3,
    }


def table(results: list[dict[str, object]]) -> Table:
    shown = Table(title="Server model against measured vLLM runs: error on the held-back arrivals")
    for column in ("run", "parameters", "c0 ms", "cb µs", "ck ns", "cp µs", *CELLS):
        shown.add_column(column, justify="left" if column in ("run", "parameters") else "right")
    for result in results:
        for kind in ("fitted", "shipped"):
            values, errors = result[kind], result[f"{kind}_error_percent"]
            scaled = [v * s for v, s in zip(values.values(), (1e3, 1e6, 1e9, 1e6), strict=True)]
            percents = [f"{error:+.1f} %" for error in errors.values()]
            shown.add_row(result["run"], kind, *(f"{v:.1f}" for v in scaled), *percents)
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of measured runs")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    folders = sorted(p.parent for p in arguments.runs.glob("*/requests.jsonl"))
    if not folders:
        print(f"no measured run (*/requests.jsonl) in {arguments.runs}", file=sys.stderr)
        return 2
    try:
        results = [evaluate(read_run(folder)) for folder in folders]
    except AuroraError as error:
        print(error, file=sys.stderr)
        return 2
    worst = max(abs(e) for r in results for e in r["fitted_error_percent"].values())
    report = {"limit_percent": LIMIT_PERCENT, "worst_percent": worst, "runs": results}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    if arguments.output == "json":
        print(json.dumps(report, indent=2))
    else:
        Console(width=150).print(table(results))
        print(f"worst fitted cell {worst:.1f} % (limit {LIMIT_PERCENT:.0f} %); written to {RESULT}")
    return 0 if worst <= LIMIT_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
