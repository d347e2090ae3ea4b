"""Run the benches one after the other, each in a process of its own, and print one summary.

Each writes bench/results/NAME.json: what was measured, how, on which machine and how long it took.
From these the tables of docs/simulator.md and README.md and the plots in docs/img are written anew.

    python bench/run.py [--data FOLDER] [--only NAME,...] [--seeds 20] [--workers 2]
    python bench/run.py --render

The recorded loads and the measured runs are not part of the repository. FOLDER holds
azure_llm/AzureLLMInferenceTrace_code.csv, servegen/rate_10min_m-large.csv and vllm_runs/*/; it may
be given as AURORA_BENCH_DATA too. Without it the controllers are compared on the built-in profile
alone, the fit is left out, and tables and plots stay as they are.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, only the file's own folder is on the path
    sys.path.insert(0, str(ROOT))

from bench.comparisons import COMPARISONS, FURTHER, OPERATING_POINT, SERVEGEN  # noqa: E402
from bench.plots import attainment, fault  # noqa: E402
from bench.tables import blocks, filled  # noqa: E402

RESULTS = ROOT / "bench" / "results"
IMAGES = ROOT / "docs" / "img"
PAGES = (ROOT / "docs" / "simulator.md", ROOT / "README.md")
RUNS = Path("vllm_runs")
LIMIT_S = 3600.0
PLOTTED = ("azure", "servegen_steep", "servegen_day8")

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench: its command after `python`, and its figures in a few words."""

    name: str
    command: tuple[str, ...]
    headline: Callable[[Result], list[str]]


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one bench; `failure` is empty when it went well."""

    name: str
    seconds: float
    lines: list[str]
    failure: str = ""


def benches(data: Path | None, seeds: int, workers: int) -> list[Bench]:
    """The benches that can run with this data, quick ones first."""
    found = [
        _bench("state_step", state_step),
        _bench("parse_readings", parse_readings),
        _bench("store_size", store_size),
        _bench("verdict_accuracy", verdicts, "--cases", "48", "--first-case", "100"),
        *_comparisons(data, seeds, workers),
    ]
    if data and (data / RUNS).is_dir():
        found.insert(0, _bench("fit_server", fit, "--runs", str(data / RUNS)))
    return found


def _comparisons(data: Path | None, seeds: int, workers: int) -> list[Bench]:
    """Every comparison whose load is there; without any, the built-in profile's."""
    there = [one for one in COMPARISONS if data is not None and (data / one.trace).is_file()]
    if data is None or not there:
        builtin = COMPARISONS[0].command("builtin", seeds=seeds, workers=workers)
        return [Bench("compare_builtin", builtin, compared)]
    found = [
        Bench(
            f"compare_{one.name}",
            one.command(str(data / one.trace), seeds=seeds, workers=workers),
            compared,
        )
        for one in there
    ]
    if (data / SERVEGEN).is_file():
        trace = ("--trace", str(data / SERVEGEN))
        found.append(_bench("fault_timeline", timeline, *trace))
    return found


def _bench(name: str, headline: Callable[[Result], list[str]], *options: str) -> Bench:
    return Bench(name, ("-m", f"bench.{name}", *options, "--output", "json"), headline)


def fit(result: Result) -> list[str]:
    worst, limit = result["worst_percent"], result["limit_percent"]
    return [f"worst cell {worst:.1f} % off the measured runs (limit {limit:.0f} %)"]


def state_step(result: Result) -> list[str]:
    return [f"{result['microseconds_per_model']:.0f} µs a model and cycle"]


def parse_readings(result: Result) -> list[str]:
    return [f"{result['total_cpu_seconds']:.2f} s of CPU for {result['workloads']} workloads"]


def store_size(result: Result) -> list[str]:
    size = result["state"]["megabytes_per_day_per_1000_models"]
    return [f"{size} MB a day for 1,000 models"]


def verdicts(result: Result) -> list[str]:
    return [f"{result['agreement_percent']} % of {result['claimed']} verdicts agree with the truth"]


def timeline(result: Result) -> list[str]:
    return [
        f"{one['controller']}: {one['failed']} failed, mitigated after {one['mitigate_s']} s"
        for one in result["controllers"]
    ]


def compared(result: Result) -> list[str]:
    """One line a controller, and what AURORA saves against the law to beat."""
    rows = {one["controller"]: one["metrics"] for one in result["controllers"]}
    lines = [
        f"{name:23} {_cell(row['attainment'], 100)} %  {_cell(row['replica_hours'], 1)} replica-h  "
        f"{_cell(row['false_actions'], 1)} false actions"
        for name, row in rows.items()
    ]
    if {"aurora", "llmd-slo"} <= rows.keys():
        ours, theirs = (rows[name]["replica_hours"]["mean"] for name in ("aurora", "llmd-slo"))
        lines.append(f"replica-hours against llmd-slo: {ours / theirs - 1:+.1%}")
    told = next((one["verdict_agreement"] for one in result["controllers"]), None)
    if told:
        lines.append(f"verdicts: {told['agreed']} of {told['claimed']} agree with the same seed")
    return lines


def _cell(estimate: Result, scale: float) -> str:
    half = estimate["half_width"]
    spread = "" if half is None else f" ±{half * scale:.2f}"
    return f"{estimate['mean'] * scale:6.2f}{spread}"


def render() -> list[str]:
    """Write the tables and plots that there are results for; gives the files that changed."""
    names = [one.name for one in COMPARISONS]
    results = {name: found for name in names if (found := _result(f"compare_{name}")) is not None}
    changed = [
        str(page.relative_to(ROOT))
        for page in PAGES
        if _write(page, filled(page.read_text(encoding="utf-8"), blocks(results)))
    ]
    IMAGES.mkdir(exist_ok=True)
    titles = {one.name: one.title for one in (*OPERATING_POINT, *FURTHER)}
    if all(name in results for name in PLOTTED):
        drawn = attainment([(titles[name], results[name]) for name in PLOTTED])
        changed += _drawn("compare-attainment.svg", drawn)
    line = _result("fault_timeline")
    if line is not None:
        changed += _drawn("compare-fault.svg", fault(line))
    return changed


def _result(name: str) -> Result | None:
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return None
    found: Result = json.loads(path.read_text(encoding="utf-8"))["result"]
    return found


def _drawn(name: str, text: str) -> list[str]:
    return [f"docs/img/{name}"] if _write(IMAGES / name, text) else []


def _write(path: Path, text: str) -> bool:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def machine() -> dict[str, object]:
    """What a figure depends on."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def run(bench: Bench) -> Report:
    """Run one bench and keep its result."""
    began = time.perf_counter()
    try:
        done = subprocess.run(
            (sys.executable, *bench.command),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
        result = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no word"])[-1]
        return Report(
            bench.name, time.perf_counter() - began, [], f"exit {error.returncode}: {last}"
        )
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        return Report(bench.name, time.perf_counter() - began, [], str(error))
    seconds = time.perf_counter() - began
    record = {
        "bench": bench.name,
        "command": ["python", *bench.command],
        "machine": machine(),
        "seconds": round(seconds, 1),
        "result": result,
    }
    (RESULTS / f"{bench.name}.json").write_text(json.dumps(record, indent=2) + "\n")
    return Report(bench.name, seconds, bench.headline(result))


def show(report: Report) -> None:
    head, *rest = report.lines or [f"FAILED: {report.failure}"]
    print(f"{report.name:18} {report.seconds:6.1f} s  {head}", flush=True)
    for line in rest:
        print(f"{'':29}{line}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("AURORA_BENCH_DATA"))
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--render", action="store_true", help="tables and plots alone")
    arguments = parser.parse_args()
    if arguments.render:
        print("\n".join(render()) or "tables and plots are as the results have them")
        return 0
    data = Path(arguments.data).resolve() if arguments.data else None
    if data is not None and not data.is_dir():
        parser.error(f"{data} is no folder")
    chosen = benches(data, arguments.seeds, arguments.workers)
    if arguments.only:
        wanted = [name.strip() for name in arguments.only.split(",")]
        unknown = set(wanted) - {bench.name for bench in chosen}
        if unknown:
            known = ", ".join(bench.name for bench in chosen)
            parser.error(f"no bench {', '.join(sorted(unknown))} with this data: {known}")
        chosen = [bench for bench in chosen if bench.name in wanted]
    RESULTS.mkdir(exist_ok=True)
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    print(f"{len(chosen)} benches on {facts}", flush=True)
    if data is None:
        print("without --data: the built-in profile stands in for the traces; no fit_server")
    reports = []
    for bench in chosen:
        reports.append(run(bench))
        show(reports[-1])
    written = render() if data is not None else []
    print(
        f"results in {RESULTS.relative_to(ROOT)}/*.json; written anew: {', '.join(written) or '-'}"
    )
    return 1 if any(report.failure for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
