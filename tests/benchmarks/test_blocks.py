"""Alternating blocks, and what is derived from them. All times here are made up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from measured import block, pair, reading
from suite.blocks import MOST_REPEATS, Block, Call, Pair, Timing, alternate, calls_for
from suite.disturbance import Reading


def test_gain_is_the_median_of_the_ratios_of_neighbours() -> None:
    # The machine slows down threefold in the middle: the ratio of the medians would say 20 / 2.
    timing = Timing(pairs=(pair(1.0, 6.0), pair(3.0, 21.0), pair(2.0, 20.0)))

    assert timing.speedup == 7.0
    assert timing.spread == (6.0, 10.0)
    assert (timing.ours, timing.reference) == (2.0, 20.0)


def test_disturbed_pairs_are_left_out() -> None:
    timing = Timing(pairs=(pair(1.0, 2.0), pair(1.0, 50.0, foreign=5.0), pair(1.0, 4.0)))

    assert timing.speedup == 3.0
    assert timing.dropped == 1
    assert timing.is_reliable


def test_pair_is_disturbed_where_either_block_is() -> None:
    assert pair(1.0, 1.0, foreign=1.0).is_disturbed
    assert not pair(1.0, 1.0).is_disturbed


def test_timing_without_an_undisturbed_pair_uses_all_and_says_so() -> None:
    timing = Timing(pairs=(pair(1.0, 2.0, foreign=9.0), pair(1.0, 4.0, foreign=9.0)))

    assert timing.speedup == 3.0
    assert timing.dropped == 2
    assert not timing.is_reliable


def test_others_are_counted_in_processors_over_the_blocks_that_are_kept() -> None:
    busy = Pair(ours=block(1.0, foreign=0.04), reference=block(3.0))

    assert Timing(pairs=(busy, pair(1.0, 1.0, foreign=9.0))).others == pytest.approx(0.01)


def test_block_gives_the_seconds_of_one_call() -> None:
    assert block(0.5, calls=8).seconds == 0.5


def test_blocks_alternate_and_replace_disturbed_ones() -> None:
    order: list[str] = []
    foreign = iter([0.0, 9.0, 0.0])

    def ours() -> Block:
        order.append("ours")
        return block(1.0, foreign=next(foreign))

    def reference() -> Block:
        order.append("reference")
        return block(2.0)

    timing = alternate(ours, reference, blocks=2)

    assert order == ["ours", "reference"] * 3
    assert (len(timing.pairs), timing.dropped) == (3, 1)


def test_alternation_gives_up_on_a_machine_that_never_rests() -> None:
    timing = alternate(lambda: block(1.0, foreign=9.0), lambda: block(2.0), blocks=2)

    assert len(timing.pairs) == 2 * MOST_REPEATS
    assert not timing.is_reliable


@pytest.mark.parametrize(
    ("seconds_per_call", "calls"), [(1e-5, 10_000), (0.001, 100), (0.06, 2), (3.0, 1)]
)
def test_short_calls_are_repeated_until_they_fill_a_block(
    seconds_per_call: float, calls: int
) -> None:
    def measure(call: Call, repeats: int) -> Reading:
        return reading(repeats * seconds_per_call)

    assert calls_for(0.1, lambda: None, measure) == calls


def test_number_of_calls_is_found_in_few_runs() -> None:
    clock: Iterator[int] = iter(range(1000))

    def measure(call: Call, repeats: int) -> Reading:
        next(clock)
        return reading(repeats * 1e-6)

    calls_for(0.1, lambda: None, measure)

    assert next(clock) <= 17
