"""Times two runtimes in alternation: ours, the reference, ours, the reference, ..."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from suite.disturbance import Reading, is_disturbed, read

Call = Callable[[], object]
Measure = Callable[[Call, int], Reading]

MOST_REPEATS = 3
"""Blocks are repeated for disturbed ones, up to so many times the number asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """``calls`` calls in a row."""

    during: Reading
    calls: int

    @property
    def seconds(self) -> float:
        """Of one call."""
        return self.during.wall / self.calls

    @property
    def is_disturbed(self) -> bool:
        return is_disturbed(self.during)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two neighbouring blocks, one of each runtime."""

    ours: Block
    reference: Block

    @property
    def is_disturbed(self) -> bool:
        return self.ours.is_disturbed or self.reference.is_disturbed

    @property
    def speedup(self) -> float:
        return self.reference.seconds / self.ours.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """All pairs of blocks; what is derived from them leaves the disturbed ones out.

    Where every pair was disturbed, all are used and :attr:`is_reliable` is false.
    """

    pairs: tuple[Pair, ...]

    @property
    def kept(self) -> tuple[Pair, ...]:
        quiet = tuple(pair for pair in self.pairs if not pair.is_disturbed)
        return quiet or self.pairs

    @property
    def dropped(self) -> int:
        return sum(pair.is_disturbed for pair in self.pairs)

    @property
    def is_reliable(self) -> bool:
        return self.dropped < len(self.pairs)

    @property
    def ours(self) -> float:
        """Median seconds of one call."""
        return statistics.median(pair.ours.seconds for pair in self.kept)

    @property
    def reference(self) -> float:
        """Median seconds of one call."""
        return statistics.median(pair.reference.seconds for pair in self.kept)

    @property
    def speedup(self) -> float:
        """Median of the ratios of neighbours, which share what the machine did at that time."""
        return statistics.median(pair.speedup for pair in self.kept)

    @property
    def others(self) -> float:
        """How many processors other processes used on average."""
        blocks = [block for pair in self.kept for block in (pair.ours, pair.reference)]
        return sum(b.during.foreign for b in blocks) / sum(b.during.wall for b in blocks)

    @property
    def spread(self) -> tuple[float, float]:
        """Smallest and largest of those ratios."""
        ratios = [pair.speedup for pair in self.kept]
        return min(ratios), max(ratios)


def run_calls(call: Call, calls: int) -> Reading:
    """What the clocks and accounts say of ``calls`` calls in a row."""
    before = read()
    for _ in range(calls):
        call()
    return read() - before


def in_this_process(call: Call, calls: int, measure: Measure = run_calls) -> Callable[[], Block]:
    """Makes blocks of ``calls`` calls."""

    def block() -> Block:
        if calls > 1:
            call()  # the other runtime has just used the caches, and its threads may still spin
        return Block(during=measure(call, calls), calls=calls)

    return block


def calls_for(block_seconds: float, call: Call, measure: Measure = run_calls) -> int:
    """How many calls fill a block, found by doubling until they take long enough to tell."""
    calls = 1
    while (seconds := measure(call, calls).wall) < block_seconds / 4:
        calls *= 2
    return max(1, round(calls * block_seconds / seconds))


def alternate(
    ours: Callable[[], Block],
    reference: Callable[[], Block],
    *,
    blocks: int,
    most_repeats: int = MOST_REPEATS,
) -> Timing:
    """``blocks`` undisturbed pairs of blocks.

    Gives up after ``most_repeats`` times as many pairs, with what there is.
    """
    pairs: list[Pair] = []
    quiet = 0
    while quiet < blocks and len(pairs) < most_repeats * blocks:
        pairs.append(Pair(ours=ours(), reference=reference()))
        quiet += not pairs[-1].is_disturbed
    return Timing(pairs=tuple(pairs))
