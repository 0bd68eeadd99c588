"""How hard each row of a batch is: the fraction of the largest load that it gets."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import torch

HARD_SHARE = 0.1
"""Of the rows of ``hard10``; at least one row."""


def all_hard(rows: int, easiest: float) -> torch.Tensor:
    """``hom``: the largest load in every row."""
    return torch.ones(rows, dtype=torch.float64)


def from_easy_to_hard(rows: int, easiest: float) -> torch.Tensor:
    """``het``: loads spaced logarithmically from the easiest to the largest, shuffled.

    A batch of one row gets the largest.
    """
    exponents = torch.linspace(0.0, 1.0, rows, dtype=torch.float64)
    return easiest ** exponents[_shuffled(rows)] if rows > 1 else all_hard(rows, easiest)


def few_hard(rows: int, easiest: float) -> torch.Tensor:
    """``hard10``: one row in ten, scattered, gets the largest load and the others the easiest."""
    fractions = torch.full((rows,), easiest, dtype=torch.float64)
    fractions[_shuffled(rows)[: max(1, round(HARD_SHARE * rows))]] = 1.0
    return fractions


LOADINGS: MappingProxyType[str, Callable[[int, float], torch.Tensor]] = MappingProxyType(
    {"hom": all_hard, "het": from_easy_to_hard, "hard10": few_hard}
)


def _shuffled(rows: int) -> torch.Tensor:
    return torch.randperm(rows, generator=torch.Generator().manual_seed(0))
