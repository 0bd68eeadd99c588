"""The Newton solves that the host's native (interpreted) models call in ``neml2.aoti._aoti``.

The signatures are the host's; the iteration is in ``native_newton``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from neml2_aoti_plugin.native_newton import (
    GroupLayout,
    Groups,
    NewtonProblem,
    NewtonSettings,
    ResidualFunction,
    RowReduction,
    StepFunction,
    solve_all_rows,
    solve_each_row,
)
from neml2_aoti_plugin.native_solver_log import SolveLog


def newton_solve_eager(
    residual_fn: ResidualFunction,
    step_fn: StepFunction,
    unknown_layout: GroupLayout,
    residual_layout: GroupLayout,
    u0: Sequence[torch.Tensor],
    atol: float,
    rtol: float,
    miters: int,
    ls_type: str,
    ls_max_iters: int,
    ls_cutback: float,
    ls_c: float,
    substep_del_tol: float = 1e-6,
    collect_log: bool | None = None,
) -> tuple[Groups, bool, int] | tuple[Groups, bool, int, list[str]]:
    """Solve for all rows at once: stop at the first iterate where every row is converged.

    Returns ``(u, True, updates)``, and the lines of the iteration where ``collect_log`` was
    passed: releases before 3.0.5 do not pass it and unpack three values.

    Raises the convergence error (recoverable: reduce the increment) where a row becomes
    non-finite or is not converged after ``miters - 1`` updates.
    """
    problem = NewtonProblem(
        residual=residual_fn,
        step=step_fn,
        over_unknowns=RowReduction(unknown_layout),
        over_residuals=RowReduction(residual_layout),
        settings=NewtonSettings.from_host(
            atol=atol,
            rtol=rtol,
            miters=miters,
            ls_type=ls_type,
            ls_max_iters=ls_max_iters,
            ls_cutback=ls_cutback,
            ls_c=ls_c,
            substep_del_tol=substep_del_tol,
        ),
        log=SolveLog(collect=bool(collect_log)),
    )
    with problem.log.solve():
        u, updates = solve_all_rows(problem, list(u0))
    if collect_log is None:
        return u, True, updates
    return u, True, updates, problem.log.lines


def newton_solve_eager_masked(
    residual_fn: ResidualFunction,
    step_fn: StepFunction,
    unknown_layout: GroupLayout,
    residual_layout: GroupLayout,
    u0: Sequence[torch.Tensor],
    atol: float,
    rtol: float,
    miters: int,
    ls_type: str,
    ls_max_iters: int,
    ls_cutback: float,
    ls_c: float,
    substep_del_tol: float = 1e-6,
) -> tuple[Groups, torch.Tensor, int]:
    """Solve row by row: a converged row is frozen while the others go on; a failed row is no error.

    The relative test additionally asks for a small update, ``|du| < substep_del_tol (|u| + atol)``.
    Returns ``(u, converged, updates)`` with ``converged`` bool ``(*batch,)`` and the last iterate
    in the rows that are not.
    """
    problem = NewtonProblem(
        residual=residual_fn,
        step=step_fn,
        over_unknowns=RowReduction(unknown_layout),
        over_residuals=RowReduction(residual_layout),
        settings=NewtonSettings.from_host(
            atol=atol,
            rtol=rtol,
            miters=miters,
            ls_type=ls_type,
            ls_max_iters=ls_max_iters,
            ls_cutback=ls_cutback,
            ls_c=ls_c,
            substep_del_tol=substep_del_tol,
        ),
        log=SolveLog(collect=False),
    )
    return solve_each_row(problem, list(u0))
