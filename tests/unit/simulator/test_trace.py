from pathlib import Path

import numpy as np
import pytest

from aurora.errors import UsageError
from aurora.simulator.faults import LoadStep, RepeatedPrompts
from aurora.simulator.profile import builtin_profile, derive_profile, read_profile, write_profile
from aurora.simulator.servegen import read_servegen
from aurora.simulator.sources import open_source
from aurora.simulator.trace import (
    Trace,
    read_azure,
    resample,
    with_load_step,
    with_repeated_prompts,
)

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
SERVEGEN = "model,t_seconds,total_req_per_s,active_clients,rate_weighted_iat_cv\n"
DATA = Path(__file__).parents[4] / "shared" / "data" / "azure_llm"
CODE = DATA / "AzureLLMInferenceTrace_code.csv"


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text)
    return path


def steady(count: int = 1000, gap: float = 0.1) -> Trace:
    times = np.arange(count) * gap
    ones = np.ones(count, dtype=np.int64)
    return Trace("steady", times, ones * 100, ones * 10, ones * -1, count * gap)


def test_azure_rows_become_arrivals_from_time_zero(tmp_path):
    rows = "2023-11-16 18:17:04.0319600,3180,8\n2023-11-16 18:17:03.9799600,4808,10\n"
    trace = read_azure(written(tmp_path, AZURE + rows))
    assert trace.times.tolist() == pytest.approx([0.0, 0.052])
    assert trace.prompt_tokens.tolist() == [4808, 3180]
    assert [r.prompt_id for r in trace.requests()] == [None, None]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("a,b,c\n1,2,3\n", "line 1: expected the header TIMESTAMP", id="wrong header"),
        pytest.param(AZURE, "has no requests", id="header alone"),
        pytest.param(AZURE + "now,1,1\n", "line 2: expected a time", id="no time"),
        pytest.param(AZURE + "2023-11-16 18:17:03,1\n", "line 2", id="too few columns"),
        pytest.param(AZURE + "2023-11-16 18:17:03,1,0\n", "line 2", id="no output token"),
        pytest.param(
            AZURE + "2023-11-16 18:17:03,1,1\n2023-11-16 18:17:03,nan,1\n", "line 3", id="nan"
        ),
    ],
)
def test_malformed_azure_files_name_the_line_and_what_is_expected(tmp_path, text, complaint):
    with pytest.raises(UsageError, match=complaint):
        read_azure(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param(SERVEGEN + "m,0,1,1,1\n", "at least two intervals", id="one interval"),
        pytest.param(SERVEGEN + "m,0,1,1,1\nm,600,x,1,1\n", "line 3", id="a rate of x"),
        pytest.param(SERVEGEN + "m,0,-1,1,1\nm,600,1,1,1\n", "line 2", id="a negative rate"),
        pytest.param(SERVEGEN + "m,0,1,1,1\nm,600,1,1,0\n", "line 3", id="a CV of 0"),
        pytest.param(
            SERVEGEN + "m,0,1,1,1\nm,600,1,1,1\nm,900,1,1,1\n", "line 4", id="uneven steps"
        ),
        pytest.param("t_seconds,total_req_per_s\n0,1\n", "rate_weighted_iat_cv", id="no CV"),
    ],
)
def test_malformed_servegen_files_name_the_line_and_what_is_expected(tmp_path, text, complaint):
    with pytest.raises(UsageError, match=complaint):
        read_servegen(written(tmp_path, text))


def test_servegen_arrivals_have_the_measured_rate_and_spread_of_gaps(tmp_path):
    text = SERVEGEN + "m,0,100,1,2.0\nm,600,50,1,2.0\n"
    trace = read_servegen(written(tmp_path, text)).draw(np.random.default_rng(1), 0.5)
    assert np.bincount((trace.times // 600).astype(int)).tolist() == [30_000, 15_000]
    gaps = np.diff(trace.times[:30_000])
    assert gaps.std() / gaps.mean() == pytest.approx(2.0, rel=0.05)
    assert np.all(np.diff(trace.times) >= 0)


def test_a_load_that_would_not_fit_into_memory_is_refused_with_a_factor_that_works(tmp_path):
    source = read_servegen(written(tmp_path, SERVEGEN + "m,0,9e9,1,1\nm,600,1,1,1\n"))
    with pytest.raises(UsageError, match=r"use a factor of 9\.3e-07 or less"):
        source.draw(np.random.default_rng(1), 1.0)


@pytest.mark.parametrize("factor", [0.25, 1.0, 2.5])
def test_resampling_meets_the_factor_on_average_and_keeps_order(factor):
    trace = resample(steady(20_000), np.full(20_000, factor), np.random.default_rng(1))
    assert len(trace) == pytest.approx(20_000 * factor, rel=0.03)
    assert np.all(np.diff(trace.times) >= 0)


def test_a_load_step_multiplies_the_load_inside_it_alone():
    trace = with_load_step(steady(), LoadStep(20.0, 40.0, 3.0), np.random.default_rng(1))
    before, inside = np.sum(trace.times < 20), np.sum((trace.times >= 20) & (trace.times < 40))
    assert before == 200
    assert inside == pytest.approx(600, abs=20)


def test_repeated_prompts_share_identifier_and_token_counts():
    fault = RepeatedPrompts(0.0, 50.0, share=0.5, distinct=3)
    trace = with_repeated_prompts(steady(), fault, np.random.default_rng(1))
    repeated = trace.prompt_ids[trace.prompt_ids >= 0]
    assert set(repeated.tolist()) == {0, 1, 2}
    assert repeated.size == pytest.approx(250, abs=50)
    assert np.all(trace.prompt_ids[trace.times >= 50] == -1)


def test_a_profile_survives_writing_and_reading(tmp_path):
    profile = derive_profile(steady())
    path = tmp_path / "profile.csv"
    write_profile(profile, path)
    again = read_profile(path)
    assert again.requests.tolist() == profile.requests.tolist() == [100] * 10
    assert again.prompt_mean.tolist() == [100.0] * 10


def test_a_torn_profile_names_the_line(tmp_path):
    path = tmp_path / "profile.csv"
    write_profile(derive_profile(steady()), path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], *lines[4:]]))
    with pytest.raises(UsageError, match="line 4: expected 7 finite numbers"):
        read_profile(path)


def test_the_builtin_profile_keeps_the_burstiness_of_its_source():
    trace = builtin_profile().draw(np.random.default_rng(1))
    gaps = np.diff(trace.times)
    per_minute = np.bincount((trace.times // 60).astype(int))
    assert len(trace) == 8819
    assert gaps.std() / gaps.mean() > 8  # the source has 13.2, a Poisson process 1
    assert per_minute.max() / per_minute.mean() == pytest.approx(4.1, abs=0.2)


@pytest.mark.skipif(not CODE.is_file(), reason="the Azure trace is not beside the checkout")
def test_the_builtin_profile_is_what_the_azure_trace_derives_to():
    derived, shipped = derive_profile(read_azure(CODE)), builtin_profile()
    for name in ("requests", "active_s", "prompt_mean", "prompt_sd", "output_mean", "output_sd"):
        assert np.allclose(getattr(derived, name), getattr(shipped, name), rtol=1e-5), name


def test_the_same_seed_draws_the_same_load_and_another_does_not():
    draw = [builtin_profile().draw(np.random.default_rng(seed), 0.4) for seed in (1, 1, 2)]
    assert draw[0].times.tolist() == draw[1].times.tolist()
    assert draw[0].times.tolist() != draw[2].times.tolist()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(None, "cannot read the trace", id="no such file"),
        pytest.param("x,y\n", "no known trace format", id="unknown columns"),
        pytest.param("\xff\xfe".encode("latin-1"), "not a text file", id="binary"),
    ],
)
def test_what_is_no_trace_is_refused_in_one_line(tmp_path, content, complaint):
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=complaint) as refusal:
        open_source(str(path))
    assert "\n" not in str(refusal.value)


def test_a_window_of_an_azure_trace_is_what_arrived_in_it(tmp_path):
    clock = (f"2023-11-16 18:00:{second:02d}.0000000" for second in range(60))
    rows = "".join(f"{at},10,{number + 1}\n" for number, at in enumerate(clock))
    path = written(tmp_path, AZURE + rows)
    whole = open_source(str(path)).source.draw(np.random.default_rng(1))
    part = open_source(str(path), start_s=20.0, duration_s=10.0)
    drawn = part.source.draw(np.random.default_rng(1))
    assert drawn.times.tolist() == [float(n) for n in range(10)]
    assert drawn.output_tokens.tolist() == whole.output_tokens[20:30].tolist()
    with pytest.raises(UsageError, match="no request from 60 s on"):
        open_source(str(path), start_s=60.0)
