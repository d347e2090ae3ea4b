"""The cyclic garbage collector, kept off while a block makes what lives until its end."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from aurora.collector import collected_after


class Knot:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.enable()
    yield
    gc.enable()
    gc.set_threshold(*thresholds)


def test_what_a_block_leaves_in_a_circle_is_freed_at_its_end_and_not_before() -> None:
    gc.set_threshold(1)
    with collected_after():
        left = weakref.ref(Knot())
        kept = [[] for _ in range(100)]
        assert left() is not None
    assert left() is None
    assert len(kept) == 100
    assert gc.isenabled()


def test_a_block_that_leaves_less_than_the_threshold_is_not_looked_through() -> None:
    gc.collect()
    gc.set_threshold(1000)
    with collected_after():
        passing = [[] for _ in range(5000)]
        left = weakref.ref(Knot())
        del passing
    assert left() is not None
    with collected_after():
        kept = [[] for _ in range(2000)]
    assert left() is None
    assert len(kept) == 2000


def test_a_block_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ValueError, match="broken"), collected_after():
        raise ValueError("broken")
    assert gc.isenabled()


def test_an_inner_block_leaves_the_collector_off() -> None:
    with collected_after():
        with collected_after():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
