"""The Krylov solves that the host's native models call in ``neml2.aoti._aoti``.

The signatures are the host's. ``krylov_solve_eager`` is the Newton iteration of ``native_newton``
with ``A du = b`` solved iteratively by ``krylov``, from products with ``A`` alone;
``krylov_solve_linear`` is one such solve, for sensitivities.

All groups are concatenated to one vector per row: ``(rows, n)``, where the batch, and with it the
number of rows, is that of the residual. A linear solve that misses its tolerance is used as it is,
Newton converges or not by its own test, and a warning goes to the channel ``linear`` of the host's
log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from neml2_aoti_plugin.errors import AOTIError, InputError
from neml2_aoti_plugin.krylov import (
    KrylovResult,
    KrylovSettings,
    RowOperator,
    bicgstab,
    gmres,
)
from neml2_aoti_plugin.native_newton import (
    GroupLayout,
    Groups,
    NewtonProblem,
    NewtonSettings,
    ResidualFunction,
    RowReduction,
    solve_all_rows,
)
from neml2_aoti_plugin.native_solver_log import LinearSolveLog, SolveLog

ProductFunction: TypeAlias = Callable[[Groups, Groups], Groups]
PreconditionerSetup: TypeAlias = Callable[[Groups], Sequence[torch.Tensor]]
PreconditionerApply: TypeAlias = Callable[[list[torch.Tensor], torch.Tensor], torch.Tensor]

_METHODS = {"gmres": gmres, "bicgstab": bicgstab}
_CACHE_STRATEGIES = ("none", "chord", "max_its")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearSolver:
    """One of the methods with its settings; reports every solve."""

    method: str
    settings: KrylovSettings
    log: LinearSolveLog

    @classmethod
    def from_host(
        cls, *, method: str, restart: int, max_its: int, abs_tol: float, rel_tol: float
    ) -> LinearSolver:
        """Translate the host's spelling; a value that means nothing is an ``InputError``."""
        _check_word("method", method, tuple(_METHODS))
        for name, value in (("restart", restart), ("max_its", max_its)):
            if value < 1:
                raise InputError(
                    f"linear solver '{method}': {name} is {value}; expected 1 or more."
                    " Correct the linear solver in the input file."
                )
        return cls(
            method=method,
            settings=KrylovSettings(
                restart=restart,
                max_iterations=max_its,
                absolute_tolerance=abs_tol,
                relative_tolerance=rel_tol,
            ),
            log=LinearSolveLog(method),
        )

    def solve(
        self, operator: RowOperator, b: torch.Tensor, precondition: RowOperator | None = None
    ) -> KrylovResult:
        """Solve ``A x = b``, ``(rows, n)``."""
        result = _METHODS[self.method](
            operator, b, self.settings, precondition=precondition, observe=self.log.observer()
        )
        self.log.solved(result)
        return result


class CachedPreconditioner:
    """``M^-1`` over the Newton iterations of one solve; its state is rebuilt as the cache says.

    ``none`` rebuilds for every iterate, ``chord`` never, ``max_its`` after a linear solve of more
    than ``max_iterations`` iterations.
    """

    def __init__(
        self,
        setup: PreconditionerSetup,
        apply: PreconditionerApply,
        *,
        strategy: str,
        max_iterations: int,
    ) -> None:
        self._setup = setup
        self._apply = apply
        self._strategy = strategy
        self._max_iterations = max_iterations
        self._state: list[torch.Tensor] | None = None
        self._last_iterations = 0

    def at(self, u: Groups) -> RowOperator:
        """The operator ``(rows, n)`` to ``(rows, n)`` for the next linear solve, at ``u``."""
        if self._state is None or self._is_outdated():
            self._state = list(self._setup(u))
        state = self._state
        return lambda values: self._apply(state, values).expand_as(values)

    def used(self, iterations: int) -> None:
        """The linear solve took ``iterations``."""
        self._last_iterations = iterations

    def _is_outdated(self) -> bool:
        if self._strategy == "none":
            return True
        return self._strategy == "max_its" and self._last_iterations > self._max_iterations


@dataclass(frozen=True, slots=True, kw_only=True)
class RowVectors:
    """Dense groups ``(*batch, n_i)`` as one tensor ``(rows, n)`` and back."""

    batch: torch.Size
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, groups: Groups) -> RowVectors:
        """The batch that the groups share, and their sizes."""
        batch = torch.broadcast_shapes(*(group.shape[:-1] for group in groups))  # type: ignore[no-untyped-call]
        return cls(batch=batch, sizes=tuple(group.shape[-1] for group in groups))

    def join(self, groups: Groups) -> torch.Tensor:
        """``(rows, n)``; a group without a batch axis is the same for all rows."""
        whole = [group.expand(*self.batch, group.shape[-1]) for group in groups]
        joined = torch.cat(whole, dim=-1)
        return joined.reshape(self.batch.numel(), joined.shape[-1])

    def split(self, joined: torch.Tensor) -> Groups:
        """The groups of ``joined``."""
        return list(
            joined.reshape(*self.batch, joined.shape[-1]).split_with_sizes(self.sizes, dim=-1)
        )


class KrylovStep:
    """The Newton update by an iterative solve: residual and step of a ``NewtonProblem``."""

    def __init__(
        self,
        residual: ResidualFunction,
        product: ProductFunction,
        solver: LinearSolver,
        preconditioner: CachedPreconditioner | None,
    ) -> None:
        self._residual = residual
        self._product = product
        self._solver = solver
        self._preconditioner = preconditioner
        self._latest: tuple[Groups, Groups] | None = None

    def residual(self, u: Groups) -> Groups:
        """``b`` at ``u``, kept for the step from there."""
        b = self._residual(u)
        self._latest = (u, b)
        return b

    def step(self, u: Groups) -> tuple[Groups, Groups]:
        """``(du, b)`` at ``u``, ``A du = b``."""
        # Newton steps from the iterate that it evaluated last, so b is known.
        is_known = self._latest is not None and self._latest[0] is u
        b = self._latest[1] if self._latest is not None and is_known else self.residual(u)
        residuals = RowVectors.of(b)
        unknowns = RowVectors(batch=residuals.batch, sizes=tuple(group.shape[-1] for group in u))
        if sum(unknowns.sizes) != sum(residuals.sizes):
            raise AOTIError(
                f"native Krylov solve: {sum(unknowns.sizes)} unknowns for"
                f" {sum(residuals.sizes)} residuals per row; expected as many. Correct the"
                " equation system of the model."
            )

        def operator(direction: torch.Tensor) -> torch.Tensor:
            return residuals.join(self._product(u, unknowns.split(direction)))

        cache = self._preconditioner
        result = self._solver.solve(
            operator, residuals.join(b), None if cache is None else cache.at(u)
        )
        if cache is not None:
            cache.used(result.iterations)
        return unknowns.split(result.x), b


def krylov_solve_eager(
    residual_fn: ResidualFunction,
    matvec_fn: ProductFunction,
    precond_setup_fn: PreconditionerSetup | None,
    precond_apply_fn: PreconditionerApply | None,
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
    method: str = "gmres",
    restart: int = 40,
    max_its: int = 1000,
    abs_tol: float = 0.0,
    rel_tol: float = 1e-4,
    cache_strategy: str = "none",
    cache_max_its: int = 10,
) -> tuple[Groups, bool, int] | tuple[Groups, bool, int, list[str]]:
    """Solve for all rows at once, as ``newton_solve_eager``, with an iterative linear solver.

    ``matvec_fn(u, v)`` returns ``A v`` at ``u``, ``v`` like the unknowns and the product like the
    residuals. ``precond_setup_fn(u)`` returns the state of a preconditioner and
    ``precond_apply_fn(state, r)`` applies it to ``(rows, n)``; both ``None`` for none. From
    ``method`` on the arguments are those of the linear solver.

    Returns what ``newton_solve_eager`` returns and raises what it raises, and an ``AOTIError`` for
    a block group.
    """
    _check_dense("unknown", unknown_layout)
    _check_dense("residual", residual_layout)
    _check_word("cache_strategy", cache_strategy, _CACHE_STRATEGIES)
    preconditioner = None
    if precond_setup_fn is not None and precond_apply_fn is not None:
        preconditioner = CachedPreconditioner(
            precond_setup_fn,
            precond_apply_fn,
            strategy=cache_strategy,
            max_iterations=cache_max_its,
        )
    solver = LinearSolver.from_host(
        method=method, restart=restart, max_its=max_its, abs_tol=abs_tol, rel_tol=rel_tol
    )
    krylov = KrylovStep(residual_fn, matvec_fn, solver, preconditioner)
    problem = NewtonProblem(
        residual=krylov.residual,
        step=krylov.step,
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


def krylov_solve_linear(
    matvec_fn: RowOperator,
    b: torch.Tensor,
    method: str = "gmres",
    restart: int = 40,
    max_its: int = 1000,
    abs_tol: float = 0.0,
    rel_tol: float = 1e-4,
) -> torch.Tensor:
    """Solve ``A x = b``, ``(*batch, n)``, given ``matvec_fn(v) = A v``, both shaped like ``b``.

    Rows that miss the tolerance are returned as they are, with a warning.
    """
    solver = LinearSolver.from_host(
        method=method, restart=restart, max_its=max_its, abs_tol=abs_tol, rel_tol=rel_tol
    )
    vectors = RowVectors.of([b])

    def operator(direction: torch.Tensor) -> torch.Tensor:
        return vectors.join([matvec_fn(direction.reshape(b.shape))])

    return solver.solve(operator, vectors.join([b])).x.reshape(b.shape)


def _check_dense(what: str, layout: GroupLayout) -> None:
    for index, (structure, sub_batch) in enumerate(layout):
        if structure != "dense":
            raise AOTIError(
                f"native Krylov solve: {what} group {index} is '{structure}' with sub-batch shape"
                f" {tuple(sub_batch)}; expected dense groups only. Use DenseLU or SchurComplement"
                " as linear_solver, or declare the group dense in the equation system."
            )


def _check_word(name: str, word: str, expected: tuple[str, ...]) -> None:
    if word not in expected:
        raise InputError(
            f"native Krylov solve: {name} is '{word}'; expected one of {', '.join(expected)}."
            " Correct the linear solver in the input file."
        )
