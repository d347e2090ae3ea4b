"""Python's cyclic garbage collector in processes that must not pause."""

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

__all__ = ["OF_A_FLEET", "collected_after", "collector_off", "spare_the_collector"]

OF_A_FLEET: Final = 50_000
"""Young objects of the operator: to look through what a cycle leaves takes 0.3 s at 10,000 models,
and 300 decisions that are carried out in one leave 15,000."""


def spare_the_collector(young: int = 10_000) -> None:
    """Keep the cyclic garbage collector from stopping a process that allocates much.

    What a cycle or a request makes is freed by reference counts; Python's own thresholds (700, 10,
    10) take its hundreds of thousands of new objects for garbage and look at all there are.
    Measured at 10,000 models on one core: a pause of 1.2 s in every cycle, 40 % of the state stage;
    with these thresholds 0.1 s at most, and the long one once in an hour
    (bench/state_step.py --models 10000 --collector default or operator).

    Args:
        young: objects that are made and not freed before the youngest are looked through.
    """
    gc.collect()
    gc.freeze()  # modules and settings live as long as the process
    gc.set_threshold(young, 10, 1000)


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Keep the collector off within a block; one that was off before stays off."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@contextlib.contextmanager
def collected_after() -> Iterator[None]:
    """Keep the collector off while a block makes much that lives until its end, then run it once.

    Looking at a cycle's objects while they are all still needed frees nothing, and most are freed
    without it by then: it runs when more are left than its threshold says. Measured at 10,000
    models: 0.2 of 3.5 s of a steady control cycle, which leaves 170 objects for it. Inside of
    another such block it does nothing.
    """
    running = gc.isenabled()
    try:
        with collector_off():
            yield
    finally:
        if running and gc.get_count()[0] > gc.get_threshold()[0]:
            gc.collect(0)
