"""Iterative solution of ``A x = b`` for many independent rows, given only products with ``A``.

``b`` and ``x`` are ``(rows, n)``; ``operator(v)`` and ``precondition(v)`` map ``(rows, n)`` to the
same, row by row: ``A v`` and ``M^-1 v``, ``M`` near ``A``. Both methods solve for corrections to
the iterate in cycles, from ``x = 0``:

* ``gmres``: restarted GMRES, preconditioned from the left (Saad and Schultz, SIAM J. Sci. Stat.
  Comput. 7, 1986), with re-orthogonalised Gram-Schmidt (Giraud et al., Numer. Math. 101, 2005);
* ``bicgstab``: BiCGStab, preconditioned from the right (van der Vorst, SIAM J. Sci. Stat. Comput.
  13, 1992). A row on which the recurrence breaks down starts a new one in the next cycle.

A row is done when its true residual passes, ``|b - A x| <= max(abs_tol, rel_tol |b|)``, computed
from ``x`` after each cycle. It is given up when that is not finite, or when a cycle did not reduce
the residual that the method works on (preconditioned in GMRES), as the next one would not either.
Rows have their own fates: one that is done, given up or broken down is frozen and takes part in no
product but that with zero.

Tests against zero are relative to the size of what is tested, so answers do not depend on the
units of the system. Nothing is modified in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch

RowOperator: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
Observer: TypeAlias = Callable[[int, torch.Tensor], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class KrylovSettings:
    """When to stop, and how many directions GMRES keeps.

    ``max_iterations`` counts directions, over all cycles: GMRES takes one product with ``A`` for
    each, BiCGStab two. The check after each cycle takes one more.
    """

    restart: int
    max_iterations: int
    absolute_tolerance: float
    relative_tolerance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KrylovResult:
    """The iterate of the smallest true residual found, and which rows passed with it."""

    x: torch.Tensor  # (rows, n)
    converged: torch.Tensor  # bool (rows,)
    residual_norm: torch.Tensor  # |b - A x|, (rows,)
    target: torch.Tensor  # what the norm had to reach, (rows,)
    iterations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """A correction ``d`` is sought with ``A d = b - A x``, in at most ``budget`` directions."""

    operator: RowOperator
    precondition: RowOperator
    residual: torch.Tensor  # (rows, n), preconditioned where the method is so from the left
    norm: torch.Tensor  # |b - A x|, (rows,), never preconditioned
    target: torch.Tensor  # what norm has to reach, (rows,)
    active: torch.Tensor  # bool (rows,); in the other rows residual is zero
    budget: int
    observe: Observer


class Method(Protocol):
    """Runs one cycle: the correction ``(rows, n)``, and how many directions it took, at least 1."""

    def __call__(self, cycle: Cycle) -> tuple[torch.Tensor, int]: ...


def gmres(
    operator: RowOperator,
    b: torch.Tensor,
    settings: KrylovSettings,
    *,
    precondition: RowOperator | None = None,
    observe: Observer | None = None,
) -> KrylovResult:
    """Solve by GMRES(``settings.restart``); see the head of this file.

    ``observe(iteration, norm)`` is called after each direction, with the expected ``|b - A x|``.
    """
    precondition = precondition or _identity
    return _solve(
        lambda cycle: _gmres_cycle(cycle, settings.restart),
        operator,
        b,
        settings,
        precondition=precondition,
        from_left=precondition,
        observe=observe,
    )


def bicgstab(
    operator: RowOperator,
    b: torch.Tensor,
    settings: KrylovSettings,
    *,
    precondition: RowOperator | None = None,
    observe: Observer | None = None,
) -> KrylovResult:
    """Solve by BiCGStab; see the head of this file. ``observe`` is as for :func:`gmres`."""
    return _solve(
        _bicgstab_cycle,
        operator,
        b,
        settings,
        precondition=precondition or _identity,
        from_left=_identity,
        observe=observe,
    )


def _solve(
    method: Method,
    operator: RowOperator,
    b: torch.Tensor,
    settings: KrylovSettings,
    *,
    precondition: RowOperator,
    from_left: RowOperator,
    observe: Observer | None,
) -> KrylovResult:
    x = best = torch.zeros_like(b)
    norm = best_norm = _norm(b)
    target = (settings.relative_tolerance * norm).clamp_min(settings.absolute_tolerance)
    residual = from_left(b)
    size = _norm(residual)
    active = norm.isfinite() & (norm > target)
    iterations = 0
    while iterations < settings.max_iterations and bool(active.any()):
        cycle = Cycle(
            operator=operator,
            precondition=precondition,
            residual=_where(active, residual, 0.0),
            norm=norm,
            target=target,
            active=active,
            budget=settings.max_iterations - iterations,
            observe=_shifted(observe, iterations),
        )
        correction, taken = method(cycle)
        iterations += taken
        x = x + _where(active, correction, 0.0)
        unpreconditioned = b - operator(x)
        norm = _norm(unpreconditioned)
        is_best = active & (norm < best_norm)  # false for NaN
        best = _where(is_best, x, best)
        best_norm = torch.where(is_best, norm, best_norm)
        residual = from_left(unpreconditioned)
        old_size, size = size, _norm(residual)
        active = active & (size < old_size) & (norm > target)
    return KrylovResult(
        x=best,
        converged=best_norm <= target,
        residual_norm=best_norm,
        target=target,
        iterations=iterations,
    )


def _gmres_cycle(cycle: Cycle, restart: int) -> tuple[torch.Tensor, int]:
    """Minimise ``|residual - M^-1 A d|`` over a growing Krylov space.

    The space has an orthonormal basis ``V``; with ``M^-1 A V = V' H`` and ``d = V y`` that is to
    minimise ``|rho e1 - H y|``, and rotations make ``H`` triangular, column by column.
    """
    rho = _norm(cycle.residual)
    # The true residual has to fall by this factor, so the preconditioned one is asked to as well.
    target = rho * _quotient(cycle.target, cycle.norm)
    per_rho = _quotient(cycle.norm, rho)
    active = cycle.active & rho.isfinite() & (rho > 0)
    basis = [_where(active, cycle.residual / rho.unsqueeze(-1), 0.0)]
    right = [torch.where(active, rho, 0.0)]
    triangle: list[list[torch.Tensor]] = []
    rotations: list[tuple[torch.Tensor, torch.Tensor]] = []
    # A space of n directions is all there is.
    limit = min(restart, cycle.residual.shape[-1], cycle.budget)
    taken = 0
    while taken < limit:
        taken += 1
        product = cycle.precondition(cycle.operator(basis[-1]))
        size = _norm(product)
        column, rest = _orthogonalise(product, torch.stack(basis, dim=1))
        length = _norm(rest)
        # What is left of a product inside the space is rounding.
        length = torch.where(length > _rounding(product) * size, length, 0.0)
        for i, (cosine, sine) in enumerate(rotations):
            column[i], column[i + 1] = (
                cosine * column[i] + sine * column[i + 1],
                cosine * column[i + 1] - sine * column[i],
            )
        pivot = torch.hypot(column[-1], length)
        # Without a pivot (A is singular in this row) the direction is of no use: y will be 0 here,
        # and the residual moves on unchanged.
        usable = pivot > _rounding(product) * size
        pivot = torch.where(usable, pivot, 0.0)
        cosine = _quotient(column[-1], pivot)
        sine = torch.where(usable, _quotient(length, pivot), 1.0)
        rotations.append((cosine, sine))
        triangle.append([*column[:-1], pivot])
        right[-1:] = [cosine * right[-1], -sine * right[-1]]
        estimate = right[-1].abs()
        cycle.observe(taken, estimate * per_rho)
        active = active & (estimate > target) & (length > 0)
        if taken == limit or not bool(active.any()):
            break
        basis.append(_where(active, rest / length.unsqueeze(-1), 0.0))
    y = _back_substitute(triangle, right[:-1])
    return (torch.stack(basis, dim=-1) @ y).squeeze(-1), taken


def _orthogonalise(
    product: torch.Tensor, basis: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Components of ``product`` ``(rows, n)`` along ``basis`` ``(rows, k, n)``, and the rest."""
    rest = product.unsqueeze(-1)
    components = torch.zeros_like(rest[:, :1])
    # The second pass removes what rounding left in the first (Giraud et al.: twice is enough).
    for _ in range(2):
        along = basis @ rest
        rest = rest - basis.mT @ along
        components = components + along
    return list(components.squeeze(-1).unbind(dim=-1)), rest.squeeze(-1)


def _back_substitute(triangle: list[list[torch.Tensor]], right: list[torch.Tensor]) -> torch.Tensor:
    """Solve ``R y = right`` ``(rows, k, 1)``; where a pivot is 0, so is ``right``, and ``y``."""
    zero = torch.zeros_like(right[0])
    one = torch.ones_like(zero)
    columns = [
        torch.stack(
            [
                *column[:-1],
                torch.where(column[-1] == 0, one, column[-1]),
                *[zero] * (len(triangle) - len(column)),
            ],
            dim=-1,
        )
        for column in triangle
    ]
    matrix = torch.stack(columns, dim=-1)
    y: torch.Tensor = torch.linalg.solve_triangular(
        matrix, torch.stack(right, dim=-1).unsqueeze(-1), upper=True
    )
    return y


def _bicgstab_cycle(cycle: Cycle) -> tuple[torch.Tensor, int]:
    """Run the recurrence until every active row is done or broken down.

    Returns the iterate of the smallest residual of each row: the recurrence is not monotone.
    """
    best = x = torch.zeros_like(cycle.residual)
    best_norm = cycle.norm
    shadow = direction = residual = cycle.residual
    shadow_norm = cycle.norm
    rho = _inner(shadow, residual)
    # Below rounding, this residual goes on falling while that of the iterate does not.
    target = torch.maximum(cycle.target, _rounding(residual) * cycle.norm)
    active = cycle.active
    taken = 0
    while taken < cycle.budget and bool(active.any()):
        taken += 1
        direction_hat = cycle.precondition(direction)
        v = cycle.operator(direction_hat)
        slope = _inner(shadow, v)
        active = active & _is_significant(slope, shadow_norm, _norm(v))
        alpha = torch.where(active, _quotient(rho, slope), 0.0).unsqueeze(-1)
        x = x + _scaled(alpha, direction_hat)
        residual = residual - _scaled(alpha, v)

        half_norm = _norm(residual)
        is_open = active & (half_norm > target)
        residual_hat = cycle.precondition(_where(is_open, residual, 0.0))
        t = cycle.operator(residual_hat)
        t_norm = _norm(t)
        overlap = _inner(t, residual)
        is_open = is_open & _is_significant(overlap, t_norm, half_norm)
        omega = torch.where(is_open, _quotient(_quotient(overlap, t_norm), t_norm), 0.0)
        omega = omega.unsqueeze(-1)
        x = x + _scaled(omega, residual_hat)
        residual = residual - _scaled(omega, t)

        norm = _norm(residual)
        cycle.observe(taken, norm)
        improves = norm < best_norm
        best = _where(improves, x, best)
        best_norm = torch.where(improves, norm, best_norm)

        old_rho, rho = rho, _inner(shadow, residual)
        active = is_open & (norm > target) & _is_significant(rho, shadow_norm, norm)
        beta = (_quotient(rho, old_rho) * _quotient(alpha, omega).squeeze(-1)).unsqueeze(-1)
        direction = _where(active, residual + beta * (direction - omega * v), 0.0)
    return best, taken


def _is_significant(
    product: torch.Tensor, left_norm: torch.Tensor, right_norm: torch.Tensor
) -> torch.Tensor:
    """Whether an inner product ``(rows,)`` has correct digits left; false for NaN.

    It carries an error of about ``eps |left| |right|``; below ``eps^(3/4)`` three quarters of its
    digits are gone, and dividing by it would spoil the recurrence.
    """
    least = float(torch.finfo(product.dtype).eps ** 0.75)
    return product.abs() > left_norm * right_norm * least


def _rounding(values: torch.Tensor) -> float:
    """What rounding leaves, relative, in a sum over the last axis ``n``."""
    return float(torch.finfo(values.dtype).eps) * max(1, values.shape[-1])


def _norm(values: torch.Tensor) -> torch.Tensor:
    norm: torch.Tensor = torch.linalg.vector_norm(values, dim=-1)
    return norm


def _inner(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return (left * right).sum(dim=-1)


def _quotient(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """``numerator / denominator``, and 0 where the denominator is 0."""
    is_zero = denominator == 0
    return torch.where(is_zero, 0.0, numerator / torch.where(is_zero, 1.0, denominator))


def _scaled(factor: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """``factor * values``, and 0 for a factor of 0 also where a value is not finite."""
    return torch.where(factor == 0, 0.0, factor * values)


def _where(
    rows: torch.Tensor, values: torch.Tensor, otherwise: torch.Tensor | float
) -> torch.Tensor:
    return torch.where(rows.unsqueeze(-1), values, otherwise)


def _identity(values: torch.Tensor) -> torch.Tensor:
    return values


def _shifted(observe: Observer | None, iterations: int) -> Observer:
    if observe is None:
        return lambda _taken, _norm: None
    return lambda taken, norm: observe(iterations + taken, norm)
