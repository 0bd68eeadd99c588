"""Made-up measurements."""

from __future__ import annotations

from typing import Any

from suite.blocks import Block, Pair
from suite.disturbance import Reading
from suite.results import Result


def reading(
    wall: float,
    *,
    own: float | None = None,
    foreign: float = 0.0,
    waited: float | None = None,
    stolen: float = 0.0,
) -> Reading:
    """A block of ``wall`` seconds in which others used ``foreign``, and made us wait as long."""
    own = wall if own is None else own
    return Reading(
        wall=wall,
        own=own,
        machine=own + foreign,
        stolen=stolen,
        waited=foreign if waited is None else waited,
        preemptions=0,
    )


def block(seconds: float, *, calls: int = 1, foreign: float = 0.0) -> Block:
    """Calls of ``seconds`` each."""
    return Block(during=reading(calls * seconds, foreign=foreign), calls=calls)


def pair(ours: float, reference: float, *, foreign: float = 0.0) -> Pair:
    """Neighbouring blocks, the first of which was disturbed where ``foreign`` is large."""
    return Pair(ours=block(ours, foreign=foreign), reference=block(reference))


def result(**changes: Any) -> Result:
    """A reliable result, with ``changes``."""
    facts: dict[str, Any] = {
        "model": "chaboche",
        "unknowns": 19,
        "operation": "forward",
        "loading": "hom",
        "rows": 256,
        "unit": "us per row",
        "ours": 2.0,
        "reference": 10.0,
        "gain": 5.0,
        "spread": (4.5, 5.5),
        "pairs": 7,
        "dropped": 0,
    }
    return Result(**facts | changes)
