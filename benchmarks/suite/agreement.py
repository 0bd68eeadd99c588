"""Whether two answers are the same but for what the Newton tolerance leaves open.

The reference iterates every row until the slowest of the batch has converged, we stop each row at
its own convergence; both accept a residual of 1e-8 to 1e-12 of its first value. So values may
differ by about that, tangents by its effect on a derivative.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

VALUE_TOLERANCE = 1e-6
TANGENT_TOLERANCE = 1e-4
"""Relative to the largest absolute value of the same tensor over all rows."""


class DisagreementError(RuntimeError):
    """The runtimes gave different answers; no time is worth reporting."""


def require_agreement(what: str, ours: Any, reference: Any, *, is_value: bool) -> float:
    """The largest difference, relative to the largest value of its tensor, unless too large."""
    tolerance = VALUE_TOLERANCE if is_value else TANGENT_TOLERANCE
    mine, theirs = dict(_leaves(ours)), dict(_leaves(reference))
    if mine.keys() != theirs.keys():
        raise DisagreementError(f"{what}: we return {sorted(mine)}, neml2 {sorted(theirs)}")
    worst, name = max((relative_difference(mine[name], theirs[name]), name) for name in mine)
    if not worst <= tolerance:
        raise DisagreementError(
            f"{what}: {name} differs by {worst:.1e} of its largest value; expected {tolerance:g}"
        )
    return worst


def relative_difference(value: torch.Tensor, expected: torch.Tensor) -> float:
    """Infinite where something is not a number, or the shapes do not broadcast."""
    try:
        difference = (value - expected).abs().max().item()
    except RuntimeError:
        return float("inf")
    largest = expected.abs().max().item()
    if difference != difference or largest != largest:
        return float("inf")
    return difference / largest if largest > 0.0 else difference


def _leaves(answer: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of nested dictionaries and tuples, with the path to each."""
    if isinstance(answer, torch.Tensor):
        yield name, answer
        return
    items = answer.items() if isinstance(answer, dict) else enumerate(answer)
    for key, value in items:
        yield from _leaves(value, f"{name}/{key}")
