"""The Newton iteration that neml2's interpreted models run on, on systems solved by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fresh_interpreter import HERE, Interpreter

from neml2_aoti_plugin import native_solvers
from neml2_aoti_plugin.errors import convergence_error_class

Groups = list[torch.Tensor]

DENSE = [("dense", [])]


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "unknown_layout": DENSE,
        "residual_layout": DENSE,
        "atol": 1e-10,
        "rtol": 1e-8,
        "miters": 25,
        "ls_type": "BACKTRACKING",
        "ls_max_iters": 1,
        "ls_cutback": 2.0,
        "ls_c": 1e-3,
    } | changes


def cube_root_of_8(u: Groups) -> Groups:
    return [8.0 - u[0] ** 3]


def cube_root_step(u: Groups) -> tuple[Groups, Groups]:
    b = cube_root_of_8(u)
    return [b[0] / (3 * u[0] ** 2)], b


def double(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def test_linear_system_takes_one_update() -> None:
    def step(u: Groups) -> tuple[Groups, Groups]:
        return [3.0 - u[0]], [3.0 - u[0]]

    (u,), converged, updates = native_solvers.newton_solve_eager(
        lambda u: step(u)[1], step, u0=[double(0.0, 1.0)], **settings()
    )
    assert u.tolist() == [[3.0], [3.0]]
    assert (converged, updates) == (True, 1)


def test_solve_that_starts_converged_returns_its_guess() -> None:
    guess = torch.tensor([2.0], dtype=torch.float64)  # without the batch axis of the residual
    (u,), _, updates = native_solvers.newton_solve_eager(
        lambda u: [torch.zeros(4, 1, dtype=torch.float64)],
        cube_root_step,
        u0=[guess],
        **settings(),
    )
    assert u is guess
    assert updates == 0


def test_log_is_returned_to_those_who_pass_collect_log() -> None:
    arguments = {"residual_fn": cube_root_of_8, "step_fn": cube_root_step, "u0": [double(1.9)]}
    assert len(native_solvers.newton_solve_eager(**arguments, **settings())) == 3
    assert native_solvers.newton_solve_eager(**arguments, **settings(), collect_log=False)[3] == []
    lines = native_solvers.newton_solve_eager(**arguments, **settings(), collect_log=True)[3]
    assert lines[0] == "ITERATION   0, |R| = 1.141000e+00, |R0| = 1.141000e+00"


def test_diverged_error_names_iteration_norms_and_tolerances() -> None:
    with pytest.raises(convergence_error_class()) as caught:
        native_solvers.newton_solve_eager(
            cube_root_of_8, cube_root_step, u0=[double(1.0, 0.0)], **settings()
        )
    assert str(caught.value) == (
        "Newton solve diverged at iteration 1: 1 of 2 rows have a non-finite residual norm (largest"
        " norm at the start 8.000e+00, abs_tol 1.000e-10, rel_tol 1.000e-08). Reduce the increment,"
        " improve the initial guess, or use NewtonWithLineSearch."
    )
    assert vars(caught.value) == {}


def test_not_converged_error_names_limit_norms_and_tolerances() -> None:
    with pytest.raises(convergence_error_class()) as caught:
        native_solvers.newton_solve_eager(
            cube_root_of_8, cube_root_step, u0=[double(2.0, 1.0)], **settings(miters=2)
        )
    # From 1: the update is 7/3, and 8 - (10/3)^3 = -29.04.
    assert str(caught.value) == (
        "Newton solve did not converge in 1 iterations (max_its = 2): 1 of 2 rows are above the"
        " tolerances (worst row 1: residual norm 2.904e+01, at the start 7.000e+00, abs_tol"
        " 1.000e-10, rel_tol 1.000e-08). Reduce the increment, improve the initial guess, or raise"
        " max_its."
    )
    assert vars(caught.value) == {}


def test_masked_solve_reports_rows_instead_of_raising() -> None:
    (u,), converged, updates = native_solvers.newton_solve_eager_masked(
        cube_root_of_8, cube_root_step, u0=[double(2.1, 1e6)], **settings(miters=10)
    )
    assert converged.tolist() == [True, False]
    assert updates == 9
    assert float(u[0]) == pytest.approx(2.0, abs=1e-12)
    assert torch.isfinite(u).all()


def test_masked_solve_gives_a_guess_without_batch_the_batch_of_the_residual() -> None:
    targets = double(1.0, 4.0)
    (u,), converged, _ = native_solvers.newton_solve_eager_masked(
        lambda u: [targets - u[0]],
        lambda u: ([targets - u[0]], [targets - u[0]]),
        u0=[torch.zeros(1, dtype=torch.float64)],
        **settings(),
    )
    assert u.shape == (2, 1)
    assert converged.shape == (2,)


def test_solvers_match_the_binary_bit_by_bit(interpreter: Interpreter, binary_works: bool) -> None:
    if not binary_works:
        pytest.skip("neml2's binary does not work on this torch")
    output = interpreter.output(str(HERE / "compare_solvers.py"), NEML2_AOTI_PLUGIN="0")
    differing = [line for line in output.splitlines() if not line.endswith(": same")]
    assert differing == []
    assert len(output.splitlines()) > 100
