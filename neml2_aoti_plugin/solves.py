"""What the implicit solves of one call took: data for whoever asks.

::

    solves = []
    model.forward(inputs, solves=solves)
    print(solves[0].iterations.max())
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch


class RowStatus(IntEnum):
    """What became of a row."""

    CONVERGED = 0
    NON_FINITE = 1
    """Its residual is infinite or not a number."""
    LINEAR_SOLVE_FAILED = 2
    """The matrix of an update is singular."""
    ITERATION_LIMIT = 3
    """As many updates as are allowed were not enough."""
    NO_TANGENT = 4
    """It is solved, but its matrix is singular at the solution, where the derivative that was asked
    for does not exist."""


class Iterate(NamedTuple):
    """The rows that were still iterating, seen together."""

    residual_norm: float
    """The largest ``|r|``."""
    initial_residual_norm: float
    """The largest ``|r|`` at the guess."""
    linear_iterations: int
    """Of the update that led here, the most of any row; 0 for a direct linear solve."""
    missed_linear_solves: int
    """In how many rows the linear solve of that update missed its tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveAttempt:
    """One Newton solve over the part ``[begin, end]`` of the increment ``[0, 1]``."""

    begin: float
    end: float
    level: int
    """How often the increment has been halved."""
    active: int
    """Rows that were tried."""
    failed: int
    """Of these."""
    trace: list[Iterate]
    """The guess, then one entry per update."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "trace", [Iterate(*entry) for entry in self.trace])


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveRecord:
    """One implicit segment in one call. Tensors are ``(*batch,)`` on the CPU, counts int64."""

    segment: str
    has_tangents: bool
    """Whether derivatives were asked for along with the values."""
    converged_mask: torch.Tensor
    """bool"""
    status: torch.Tensor
    """int8, a :class:`RowStatus` for each row. A row that failed in an earlier segment, where the
    call went on without it, has the status of that solve, and no counts."""
    iterations: torch.Tensor
    """Newton updates, over all attempts."""
    corrections: torch.Tensor
    """Steps between them that took no matrix, over all attempts."""
    substeps: torch.Tensor
    """Parts into which the row's increment was divided, 1 for none."""
    residual_norms: torch.Tensor
    """float64: ``|r|`` at the end."""
    initial_residual_norms: torch.Tensor
    """float64: ``|r|`` at the guess, of the last substep where there are several."""
    linear_iterations: torch.Tensor
    """Of all iterative linear solves; 0 for direct ones."""
    missed_linear_solves: torch.Tensor
    """Iterative linear solves that missed their tolerance."""
    worst_linear_excess: torch.Tensor
    """float64: the largest ``|b - A du|`` over its tolerance among these, else 0."""
    absolute_tolerance: float
    relative_tolerance: float
    max_iterations: int
    attempts: tuple[SolveAttempt, ...]


def row_status(solves: Sequence[SolveRecord]) -> torch.Tensor:
    """What became of every row of one call, int8 ``(*batch,)``: see :class:`RowStatus`.

    ``solves``: the records of that call alone. Raises ValueError where there is none: a model
    without implicit updates solves nothing.
    """
    if not solves:
        raise ValueError("no solves were recorded; expected those of one call of an implicit model")
    return solves[-1].status


class SolveObserver(Protocol):
    """Whom a model tells of its solves after each call."""

    def is_listening(self) -> bool:
        """Whether records are wanted; missed linear solves are reported in any case."""
        ...

    def report(self, solves: list[SolveRecord]) -> None:
        """The records of one call."""
        ...

    def warn_of_failed_rows(self, solves: list[SolveRecord]) -> None:
        """The records of one call that went on without some rows."""
        ...
