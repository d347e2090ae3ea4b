import random

import pytest

from aurora.errors import UsageError
from aurora.simulator.pool import Pool
from aurora.simulator.scraper import Scraper, ScrapeSettings
from aurora.simulator.view import Missing, known
from tests.unit.simulator.support import make_pool, send

PROMPT = ScrapeSettings(delay_s=(0.0, 0.0), missing=0.0)


def watch(pool: Pool, settings: ScrapeSettings = PROMPT) -> Scraper:
    return Scraper(pool, settings, random.Random(1))


def run(pool: Pool, scraper: Scraper, until: float, *, rate: float = 0.0) -> None:
    """Advance with `rate` requests per second, scraping when due."""
    arrival = pool.now
    while True:
        due = scraper.next_scrape()
        if min(due, arrival if rate else due) > until:
            pool.advance(until)
            return
        if rate and arrival <= due:
            send(pool, 1, at=arrival)
            arrival += 1 / rate
        else:
            pool.advance(due)
            scraper.scrape(due)


def test_before_two_samples_every_rate_is_missing_and_none_is_zero():
    pool = make_pool(2)
    scraper = watch(pool)
    run(pool, scraper, 14.9)
    view = scraper.window_view(14.9, 60.0)
    for reading in (view.completion_rate, view.ttft_p95, view.utilisation, view.error_ratio):
        assert isinstance(reading, Missing)


def test_rates_and_latencies_are_near_the_truth():
    pool = make_pool(2)
    scraper = watch(pool)
    run(pool, scraper, 300.0, rate=2.0)
    view = scraper.window_view(300.0, 120.0)
    assert known(view.request_rate) == pytest.approx(2.0, rel=0.05)
    assert known(view.completion_rate) == pytest.approx(2.0, rel=0.05)
    assert 0.01 < known(view.ttft_p95) <= 0.1
    assert view.ttft_samples == pytest.approx(240, rel=0.1)
    busy = 2.0 * (0.05 + 9 * 0.0401) / 2
    assert known(view.utilisation) == pytest.approx(busy, rel=0.15)
    assert known(view.error_ratio) == 0.0
    assert view.over(30.0).window_s == 30.0


def test_without_traffic_quantiles_are_missing_while_the_rate_is_a_real_zero():
    pool = make_pool(1)
    scraper = watch(pool)
    run(pool, scraper, 120.0)
    view = scraper.window_view(120.0, 60.0)
    assert view.completion_rate == 0.0
    assert view.ttft_p95 == Missing("no observation in the window")


def test_a_missing_reading_refuses_to_be_a_condition():
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(Missing("gone"))


def test_in_a_blackout_the_age_grows_and_then_everything_is_missing():
    pool = make_pool(1)
    scraper = watch(pool)
    run(pool, scraper, 100.0, rate=1.0)
    scraper.blackout = True
    run(pool, scraper, 200.0, rate=1.0)
    assert known(scraper.window_view(200.0, 60.0).age_s) > 90.0
    assert isinstance(scraper.window_view(200.0, 60.0).completion_rate, Missing)
    run(pool, scraper, 500.0, rate=1.0)
    assert isinstance(scraper.window_view(500.0, 60.0).age_s, Missing)
    assert isinstance(scraper.window_view(500.0, 60.0).running, Missing)


def test_a_sample_is_not_seen_before_its_delay_is_over():
    pool = make_pool(1)
    scraper = watch(pool, ScrapeSettings(delay_s=(10.0, 10.0), missing=0.0))
    taken = scraper._targets[0].next_scrape
    run(pool, scraper, 15.0)
    assert scraper.window_view(taken + 9.9, 60.0).pods_reporting == 0
    assert scraper.window_view(taken + 10.0, 60.0).pods_reporting == 1


def test_a_starting_pod_is_not_scraped_and_a_gone_pod_is_stale_at_once():
    pool = make_pool(2, cold=100.0)
    scraper = watch(pool)
    pool.scale(3)
    run(pool, scraper, 60.0)
    assert scraper.window_view(60.0, 60.0).pods_reporting == 2
    run(pool, scraper, 130.0)
    assert scraper.window_view(130.0, 60.0).pods_reporting == 3
    pool.scale(1)
    assert scraper.window_view(130.0, 60.0).pods_reporting == 1


def test_lost_samples_are_about_as_many_as_asked_for():
    pool = make_pool(1)
    scraper = watch(pool, ScrapeSettings(delay_s=(5.0, 15.0), missing=0.2))
    run(pool, scraper, 1_700.0)
    kept = len(scraper._targets[0].times)
    assert kept == pytest.approx(0.8 * 1_700 / 15, rel=0.15)


def test_a_cache_hit_is_in_what_callers_see_and_not_in_the_servers_histograms():
    pool = make_pool(1)
    pool.cache_ttl_s = 1e9
    scraper = watch(pool)
    for at in range(0, 300, 2):
        run(pool, scraper, float(at))
        send(pool, 1, at=float(at), prompt_id=1)
    run(pool, scraper, 300.0)
    view = scraper.window_view(300.0, 120.0)
    assert known(view.cache_hit_ratio) == pytest.approx(1.0)
    assert known(view.caller_e2e_p95) <= 0.3
    assert isinstance(view.e2e_p95, Missing)


@pytest.mark.parametrize(
    "settings", [{"interval_s": 0}, {"delay_s": (5, 1)}, {"missing": 1.0}, {"delay_s": (-1, 1)}]
)
def test_impossible_scrape_settings_are_refused(settings):
    with pytest.raises(UsageError):
        ScrapeSettings(**settings)
