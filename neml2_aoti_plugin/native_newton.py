"""The Newton iteration behind the host's native (interpreted) models, in plain tensor code.

It solves ``r(u, g) = 0`` for the unknowns ``u`` at fixed givens ``g``, given two callbacks:
``residual(u)`` returns ``b = -r`` and ``step(u)`` returns ``(du, b)`` with ``A du = b``,
``A = dr/du``. Unknowns and residuals are lists of tensors, one per group, each ``(*batch, n)`` for
a dense group and ``(*batch, *sub_batch, n)`` for a block group; ``b`` is the convention of the
whole file. No compiled code is involved, so it runs on every torch.

Iterates are bit-identical to those of the host's binary, including two habits that callers may
rely on: ``miters`` allows ``miters - 1`` updates, and a solve that starts converged returns its
guess untouched.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from neml2_aoti_plugin.errors import convergence_error_class
from neml2_aoti_plugin.native_solver_log import SolveLog

Groups: TypeAlias = list[torch.Tensor]
GroupLayout: TypeAlias = Sequence[tuple[str, Sequence[int]]]
ResidualFunction: TypeAlias = Callable[[Groups], Groups]
StepFunction: TypeAlias = Callable[[Groups], tuple[Groups, Groups]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSearch:
    """Backtracking along ``du``; one trial fewer than ``max_iterations``, none at 1 or below."""

    requires_relative_decrease: bool
    max_iterations: int
    cutback: float
    decrease: float

    def limit(self, merit: torch.Tensor, slope: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        """The largest acceptable ``|b|^2`` after ``alpha du``, per row ``(*batch,)``."""
        if self.requires_relative_decrease:
            return (1.0 - self.decrease * alpha) * merit
        return merit - 2.0 * self.decrease * alpha * slope


@dataclass(frozen=True, slots=True, kw_only=True)
class NewtonSettings:
    """When to stop; names of the host in brackets where they differ."""

    absolute_tolerance: float  # [atol]
    relative_tolerance: float  # [rtol]
    max_iterations: int  # [miters]
    update_tolerance: float  # [substep_del_tol], masked solve only
    line_search: LineSearch

    @classmethod
    def from_host(
        cls,
        *,
        atol: float,
        rtol: float,
        miters: int,
        ls_type: str,
        ls_max_iters: int,
        ls_cutback: float,
        ls_c: float,
        substep_del_tol: float,
    ) -> NewtonSettings:
        """Translate the host's spelling; like there, any other ``ls_type`` means backtracking."""
        line_search = LineSearch(
            requires_relative_decrease=ls_type == "STRONG_WOLFE",
            max_iterations=ls_max_iters,
            cutback=ls_cutback,
            decrease=ls_c,
        )
        return cls(
            absolute_tolerance=atol,
            relative_tolerance=rtol,
            max_iterations=miters,
            update_tolerance=substep_del_tol,
            line_search=line_search,
        )


class RowReduction:
    """Sums over everything behind the batch axes, all groups together: one value per row."""

    def __init__(self, layout: GroupLayout) -> None:
        self.value_ranks = [
            len(sub_batch) + 1 if structure == "block" else 1 for structure, sub_batch in layout
        ]

    def inner(self, left: Groups, right: Groups) -> torch.Tensor:
        """``left . right`` per row, ``(*batch,)``."""
        sums = [
            (a * b).sum(dim=tuple(range(-rank, 0)))
            for a, b, rank in zip(left, right, self.value_ranks, strict=True)
        ]
        return functools.reduce(torch.add, sums)

    def norm(self, groups: Groups) -> torch.Tensor:
        """``|groups|`` per row, ``(*batch,)``."""
        return self.inner(groups, groups).sqrt()

    def align(self, per_row: torch.Tensor) -> Groups:
        """``per_row`` ``(*batch,)`` with the trailing axes of each group added as size 1."""
        return [per_row.reshape(per_row.shape + (1,) * rank) for rank in self.value_ranks]

    def expand(self, groups: Groups, batch: torch.Size) -> Groups:
        """``groups`` with ``batch`` in place of missing or size-1 batch axes."""
        return [
            group.expand(batch + group.shape[group.ndim - rank :])
            for group, rank in zip(groups, self.value_ranks, strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewtonProblem:
    """What the iteration needs to know of the system: callbacks, layouts, settings, log."""

    residual: ResidualFunction
    step: StepFunction
    over_unknowns: RowReduction
    over_residuals: RowReduction
    settings: NewtonSettings
    log: SolveLog

    def update(self, u: Groups, du: Groups, b: Groups) -> tuple[Groups, Groups]:
        """The next iterate and ``b`` there: the full update, or what the line search picks."""
        if self.settings.line_search.max_iterations > 1:
            return self._line_search(u, du, b)
        u_new = [value + change for value, change in zip(u, du, strict=True)]
        return u_new, self.residual(u_new)

    def _line_search(self, u: Groups, du: Groups, b: Groups) -> tuple[Groups, Groups]:
        search = self.settings.line_search
        merit = self.over_residuals.inner(b, b)
        slope = self.over_residuals.inner(b, du)
        alpha = torch.ones_like(merit)
        u_new, b_new = u, b
        for trial in range(1, search.max_iterations):
            fractions = self.over_unknowns.align(alpha)
            u_new = [v + a * d for v, a, d in zip(u, fractions, du, strict=True)]
            b_new = self.residual(u_new)
            merit_new = self.over_residuals.inner(b_new, b_new)
            limit = search.limit(merit, slope, alpha)
            self.log.trial(trial, alpha, merit_new, limit)
            # A NaN passes neither test, so a trial that overshoots into NaN is cut back.
            accepted = (merit_new <= limit) | (merit_new <= self.settings.absolute_tolerance**2)
            if bool(accepted.all()):
                break
            alpha = torch.where(accepted, alpha, alpha / search.cutback)
        # Out of trials, rows that were not accepted move by the last fraction tried.
        return u_new, b_new

    def passes(self, norm: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
        """Rows that are converged, ``(*batch,)``; ``0/0`` is not."""
        return (norm < self.settings.absolute_tolerance) | (
            norm / initial < self.settings.relative_tolerance
        )


def solve_all_rows(problem: NewtonProblem, u: Groups) -> tuple[Groups, int]:
    b = problem.residual(u)
    initial = norm = problem.over_residuals.norm(b)
    problem.log.iterate(0, norm, initial)
    if bool(problem.passes(norm, initial).all()):
        problem.log.converged(0, norm, initial, problem.settings)
        return u, 0
    for iteration in range(1, problem.settings.max_iterations):
        du, _ = problem.step(u)
        u, b = problem.update(u, du, b)
        norm = problem.over_residuals.norm(b)
        problem.log.iterate(iteration, norm, initial)
        # One device-to-host transfer answers both questions.
        diverged, converged = torch.stack(
            (~norm.isfinite().all(), problem.passes(norm, initial).all())
        ).tolist()
        if diverged:
            problem.log.diverged(iteration)
            raise _diverged(iteration, norm, initial, problem.settings)
        if converged:
            problem.log.converged(iteration, norm, initial, problem.settings)
            return u, iteration
    problem.log.not_converged(norm, initial, problem.settings)
    raise _not_converged(norm, initial, problem)


def solve_each_row(problem: NewtonProblem, u: Groups) -> tuple[Groups, torch.Tensor, int]:
    settings = problem.settings
    b = problem.residual(u)
    initial = problem.over_residuals.norm(b)
    # A guess without batch axes gets those of the residual, so that mask and iterate agree.
    u = problem.over_unknowns.expand(u, initial.shape)
    converged = initial < settings.absolute_tolerance
    updates = 0
    if bool(converged.all()):
        return u, converged, updates
    frozen = torch.zeros_like(converged)
    for iteration in range(1, settings.max_iterations):
        updates = iteration
        u_old = u
        u, b = problem.update(u, _masked_update(problem, u, frozen), b)
        norm = problem.over_residuals.norm(b)
        problem.log.iterate(iteration, norm, initial)
        converged = _passes_and_settled(problem, norm, initial, u, u_old)
        frozen = frozen | converged
        if bool((converged | ~norm.isfinite()).all()):
            break
    return u, converged, updates


def _masked_update(problem: NewtonProblem, u: Groups, frozen: torch.Tensor) -> Groups:
    du, _ = problem.step(u)
    masks = problem.over_unknowns.align(frozen)
    return [change.masked_fill(mask, 0.0) for change, mask in zip(du, masks, strict=True)]


def _passes_and_settled(
    problem: NewtonProblem, norm: torch.Tensor, initial: torch.Tensor, u: Groups, u_old: Groups
) -> torch.Tensor:
    settings = problem.settings
    change = problem.over_unknowns.norm([new - old for new, old in zip(u, u_old, strict=True)])
    size = problem.over_unknowns.norm(u)
    settled = change < settings.update_tolerance * (size + settings.absolute_tolerance)
    return (norm < settings.absolute_tolerance) | (
        (norm / initial < settings.relative_tolerance) & settled
    )


def _diverged(
    iteration: int, norm: torch.Tensor, initial: torch.Tensor, settings: NewtonSettings
) -> RuntimeError:
    rows = norm.numel()
    failed = rows - int(norm.isfinite().sum())
    return convergence_error_class()(
        f"Newton solve diverged at iteration {iteration}: {failed} of {rows} rows have a non-finite"
        f" residual norm (largest norm at the start {float(initial.max()):.3e},"
        f" abs_tol {settings.absolute_tolerance:.3e}, rel_tol {settings.relative_tolerance:.3e})."
        " Reduce the increment, improve the initial guess, or use NewtonWithLineSearch."
    )


def _not_converged(
    norm: torch.Tensor, initial: torch.Tensor, problem: NewtonProblem
) -> RuntimeError:
    settings = problem.settings
    initial = initial.expand_as(norm).reshape(-1)
    norm = norm.reshape(-1)
    failed = ~problem.passes(norm, initial)
    worst = int(torch.where(failed, norm, -torch.inf).argmax())
    updates = max(settings.max_iterations - 1, 0)
    return convergence_error_class()(
        f"Newton solve did not converge in {updates} iterations (max_its = "
        f"{settings.max_iterations}): {int(failed.sum())} of {norm.numel()} rows are above the"
        f" tolerances (worst row {worst}: residual norm {float(norm[worst]):.3e}, at the start"
        f" {float(initial[worst]):.3e}, abs_tol {settings.absolute_tolerance:.3e},"
        f" rel_tol {settings.relative_tolerance:.3e})."
        " Reduce the increment, improve the initial guess, or raise max_its."
    )
