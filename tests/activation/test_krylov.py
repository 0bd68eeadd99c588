"""GMRES and BiCGStab on small systems with known solutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from neml2_aoti_plugin.krylov import KrylovResult, KrylovSettings, bicgstab, gmres

METHODS = [gmres, bicgstab]

Solve = Callable[..., KrylovResult]


@pytest.fixture(params=METHODS, ids=lambda method: method.__name__)
def method(request: pytest.FixtureRequest) -> Solve:
    solve: Solve = request.param
    return solve


class Products:
    """``A v`` per row, counted."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix
        self.count = 0

    def __call__(self, v: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return (self.matrix @ v.unsqueeze(-1)).squeeze(-1)


def settings(**changes: Any) -> KrylovSettings:
    values = {
        "restart": 40,
        "max_iterations": 200,
        "absolute_tolerance": 0.0,
        "relative_tolerance": 1e-12,
    }
    return KrylovSettings(**(values | changes))


def systems(rows: int, n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Unsymmetric, well conditioned ``A`` ``(rows, n, n)`` and solutions ``(rows, n)``."""
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(rows, n, n, generator=generator, dtype=torch.float64)
    matrix = noise + n * torch.eye(n, dtype=torch.float64)
    return matrix, torch.randn(rows, n, generator=generator, dtype=torch.float64)


def solve_for(method: Solve, matrix: torch.Tensor, x: torch.Tensor, **more: Any) -> KrylovResult:
    operator = Products(matrix)
    return method(operator, operator(x), more.pop("settings", settings()), **more)


def direct(matrix: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    solution: torch.Tensor = torch.linalg.solve(matrix, b)
    return solution


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_solution_is_found_in_every_row(method: Solve, rows: int) -> None:
    matrix, x = systems(rows)
    result = solve_for(method, matrix, x)
    assert bool(result.converged.all())
    # The residual is 1e-12 |b| or less, the condition numbers are below 10.
    torch.testing.assert_close(result.x, x, rtol=0, atol=2e-11)


def test_gmres_needs_as_many_directions_as_unknowns_at_most() -> None:
    for n in (1, 2, 6):
        matrix, x = systems(4, n)
        assert solve_for(gmres, matrix, x).iterations <= n


def test_gmres_restarts() -> None:
    matrix, x = systems(3)
    result = solve_for(gmres, matrix, x, settings=settings(restart=2))
    assert result.iterations > 6
    torch.testing.assert_close(result.x, x, rtol=0, atol=2e-11)


def test_exact_preconditioner_needs_one_iteration(method: Solve) -> None:
    matrix, x = systems(3)
    result = solve_for(method, matrix, x, precondition=Products(matrix.inverse()))
    assert result.iterations == 1
    torch.testing.assert_close(result.x, x, rtol=0, atol=2e-11)


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e-6, 1e6, 1e12, 1e140])
def test_scale_of_the_operator_does_not_matter(method: Solve, scale: float) -> None:
    matrix, x = systems(3)
    b = Products(matrix)(x)
    plain = method(Products(matrix), b, settings(relative_tolerance=1e-4))
    scaled = method(Products(scale * matrix), b, settings(relative_tolerance=1e-4))
    assert scaled.iterations == plain.iterations
    assert bool(scaled.converged.all())
    torch.testing.assert_close(scaled.x * scale, plain.x, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_good_preconditioner_of_a_large_operator_is_no_reason_to_stop(
    method: Solve, scale: float
) -> None:
    matrix, x = systems(3)
    matrix = scale * matrix
    result = solve_for(
        method,
        matrix,
        x,
        precondition=Products(matrix.inverse()),
        settings=settings(relative_tolerance=1e-4),
    )
    assert result.iterations == 1
    torch.testing.assert_close(result.x, x, rtol=0, atol=1e-11)


def test_preconditioner_of_poor_scale_does_not_stop_early(method: Solve) -> None:
    matrix, x = systems(4)
    weights = torch.logspace(-6, 6, 6, dtype=torch.float64)
    result = solve_for(
        method,
        matrix,
        x,
        precondition=lambda v: weights * v,
        settings=settings(relative_tolerance=1e-6),
    )
    residual = Products(matrix)(x - result.x).norm(dim=-1)
    assert bool((residual <= 1.01e-6 * Products(matrix)(x).norm(dim=-1))[result.converged].all())


def test_rows_of_very_different_scale_are_solved_alike(method: Solve) -> None:
    matrix, x = systems(1)
    scales = torch.logspace(-6, 6, 7, dtype=torch.float64)
    matrix = scales[:, None, None] * matrix
    result = solve_for(method, matrix, x.expand(7, -1))
    assert bool(result.converged.all())
    torch.testing.assert_close(result.x, x.expand(7, -1), rtol=0, atol=2e-11)


def test_zero_right_hand_side_takes_no_product(method: Solve) -> None:
    operator = Products(systems(3)[0])
    result = method(operator, torch.zeros(3, 6, dtype=torch.float64), settings())
    assert (result.iterations, operator.count) == (0, 0)
    assert bool(result.converged.all())
    assert bool((result.x == 0).all())


def test_empty_batch_is_solved(method: Solve) -> None:
    matrix, x = systems(2)
    assert solve_for(method, matrix[:0], x[:0]).x.shape == (0, 6)


def test_zero_row_beside_others_stays_zero(method: Solve) -> None:
    matrix, x = systems(3)
    x[1] = 0.0
    result = solve_for(method, matrix, x)
    assert bool(result.converged.all())
    torch.testing.assert_close(result.x, x, rtol=0, atol=2e-11)


def test_singular_row_is_reported_and_takes_no_other_down(method: Solve) -> None:
    matrix, x = systems(3)
    b = Products(matrix)(x)
    matrix[1] = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 0.0], dtype=torch.float64))
    result = method(Products(matrix), b, settings())
    assert result.converged.tolist() == [True, False, True]
    assert bool(result.x.isfinite().all())
    # No x removes the last component of the residual.
    assert float(result.residual_norm[1]) >= float(b[1, 5].abs())
    torch.testing.assert_close(result.x[::2], x[::2], rtol=0, atol=2e-11)


@pytest.mark.parametrize("culprit", ["operator", "right-hand side", "preconditioner"])
def test_row_that_is_not_finite_takes_no_other_down(method: Solve, culprit: str) -> None:
    matrix, x = systems(3)
    inverse = torch.eye(6, dtype=torch.float64).repeat(3, 1, 1)
    b = Products(matrix)(x)
    alone = method(Products(matrix[::2]), b[::2], settings())
    {"operator": matrix, "right-hand side": b, "preconditioner": inverse}[culprit][1] = torch.nan
    result = method(Products(matrix), b, settings(), precondition=Products(inverse))
    assert result.converged.tolist() == [True, False, True]
    torch.testing.assert_close(result.x[::2], alone.x, rtol=0, atol=1e-13)


def test_answer_of_a_row_does_not_depend_on_its_neighbours(method: Solve) -> None:
    matrix, x = systems(5)
    matrix[3] *= 1e5
    matrix[1] = torch.eye(6, dtype=torch.float64)
    together = solve_for(method, matrix, x).x
    for row in range(5):
        alone = solve_for(method, matrix[row : row + 1], x[row : row + 1]).x
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize("limit", [1, 3, 5, 8])
def test_iteration_limit_is_honoured(method: Solve, limit: int) -> None:
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(2, 50, 50, generator=generator, dtype=torch.float64)
    operator = Products(noise + 8 * torch.eye(50, dtype=torch.float64))
    b = torch.ones(2, 50, dtype=torch.float64)
    result = method(operator, b, settings(max_iterations=limit, restart=4))
    cycles = -(-limit // 4)
    products = {gmres: limit + cycles, bicgstab: 2 * limit + 1}[method]
    assert (result.iterations, operator.count) == (limit, products)
    assert not bool(result.converged.any())
    assert bool((result.residual_norm < b.norm(dim=-1)).all())


def test_absolute_tolerance_is_that_of_the_true_residual(method: Solve) -> None:
    matrix, x = systems(3, 30)
    tolerances = settings(absolute_tolerance=1e-3, relative_tolerance=0.0)
    result = solve_for(method, matrix, x, settings=tolerances, precondition=lambda v: 1e9 * v)
    residual = Products(matrix)(x - result.x).norm(dim=-1)
    assert bool((residual <= 1.001e-3).all())
    assert bool((residual > 1e-6).all())


def test_unreachable_tolerance_ends_when_nothing_is_gained(method: Solve) -> None:
    matrix, x = systems(3)
    result = solve_for(
        method, matrix, x, settings=settings(relative_tolerance=0.0, max_iterations=10_000)
    )
    assert result.iterations < 60
    torch.testing.assert_close(result.x, x, rtol=0, atol=1e-13)


def test_gmres_that_stagnates_gives_up() -> None:
    rotation = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]], dtype=torch.float64)
    b = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    result = gmres(Products(rotation), b, settings(restart=1))
    assert (result.iterations, bool(result.converged)) == (1, False)
    assert bool(gmres(Products(rotation), b, settings(restart=2)).converged)


def test_bicgstab_on_which_the_recurrence_breaks_down_gives_up() -> None:
    rotation = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]], dtype=torch.float64)
    b = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    result = bicgstab(Products(rotation), b, settings())
    assert (result.iterations, bool(result.converged)) == (1, False)
    assert result.x.tolist() == [[0.0, 0.0]]


def test_ill_conditioned_system_reaches_its_tolerance(method: Solve) -> None:
    matrix, x = systems(3)
    matrix = torch.logspace(0, 8, 6, dtype=torch.float64).diag() @ matrix
    b = Products(matrix)(x)
    result = method(Products(matrix), b, settings(relative_tolerance=1e-10))
    assert bool(result.converged.all())
    residual = (b - Products(matrix)(result.x)).norm(dim=-1)
    assert bool((residual <= 1.0001e-10 * b.norm(dim=-1)).all())


def test_single_precision_stays_single(method: Solve) -> None:
    matrix, x = systems(3)
    result = solve_for(
        method, matrix.float(), x.float(), settings=settings(relative_tolerance=1e-5)
    )
    assert result.x.dtype == torch.float32
    torch.testing.assert_close(result.x, x.float(), rtol=0, atol=1e-4)


def test_observer_sees_every_iteration_with_the_true_residual(method: Solve) -> None:
    matrix, x = systems(2)
    seen: list[tuple[int, torch.Tensor]] = []
    result = solve_for(
        method, matrix, x, observe=lambda iteration, norm: seen.append((iteration, norm))
    )
    assert [iteration for iteration, _ in seen] == list(range(1, result.iterations + 1))
    assert bool((seen[-1][1] <= 1.01 * result.target).all())


def test_result_has_derivatives(method: Solve) -> None:
    matrix, _ = systems(2, 3)
    b = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    result = method(Products(matrix), b, settings())
    (gradient,) = torch.autograd.grad(result.x.sum(), b)
    expected = direct(matrix.mT, torch.ones(2, 3, 1, dtype=torch.float64)).squeeze(-1)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-9)
