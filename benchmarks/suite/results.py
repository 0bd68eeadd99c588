"""What was measured, in the same form for every operation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from suite.blocks import Block, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the table: less is better on both sides."""

    model: str
    unknowns: int
    operation: str
    loading: str
    rows: int
    unit: str
    ours: float
    reference: float
    gain: float
    """How many times more the reference takes."""
    spread: tuple[float, float]
    """Smallest and largest gain of one pair of blocks."""
    pairs: int
    dropped: int
    is_reliable: bool = True
    others: float | None = None
    """How many processors other processes used on average."""
    difference: float | None = None
    """Of the answers, relative to the largest value."""
    raw: tuple[dict[str, Any], ...] = ()
    """Per pair of blocks what the clocks said of each."""


def timed(timing: Timing, *, scale: float, **facts: Any) -> Result:
    """The result of a timing; ``scale`` turns seconds of a call into the unit."""
    return Result(
        ours=scale * timing.ours,
        reference=scale * timing.reference,
        gain=timing.speedup,
        spread=timing.spread,
        pairs=len(timing.pairs),
        dropped=timing.dropped,
        is_reliable=timing.is_reliable,
        others=timing.others,
        raw=tuple(
            {"ours": _raw(pair.ours), "neml2": _raw(pair.reference), "dropped": pair.is_disturbed}
            for pair in timing.pairs
        ),
        **facts,
    )


def _raw(block: Block) -> dict[str, Any]:
    during = block.during
    derived = {"foreign": during.foreign, "taken": during.taken}
    return {"calls": block.calls, **asdict(during), **derived}
