"""The Krylov solves that neml2's interpreted models run on."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import torch
from fresh_interpreter import HERE, Interpreter

from neml2_aoti_plugin.errors import AOTIError, InputError
from neml2_aoti_plugin.native_krylov import krylov_solve_eager, krylov_solve_linear

Groups = list[torch.Tensor]

DENSE = [("dense", [])]
MATRIX = torch.tensor(
    [[4.0, 1.0, 0.0, 0.5], [0.0, 3.0, 1.0, 0.0], [0.5, 0.0, 5.0, 1.0], [1.0, 0.0, 0.0, 2.0]],
    dtype=torch.float64,
)
TARGETS = torch.tensor(
    [
        [1.0, 2.0, 3.0, 4.0],
        [0.1, 0.0, -0.2, 0.5],
        [5.0, -5.0, 2.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
        [30.0, 1.0, 1.0, -9.0],
    ],
    dtype=torch.float64,
)


def quiet_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where neml2 has no log: warnings are Python's."""
    monkeypatch.setitem(sys.modules, "neml2.log", None)


class Cubic:
    """``A u + u^3 = targets``, ``(*batch, 4)``, in groups of the given sizes."""

    def __init__(self, targets: torch.Tensor, sizes: tuple[int, ...] = (4,)) -> None:
        self.targets = targets
        self.sizes = sizes
        self.setups = 0

    def split(self, values: torch.Tensor) -> Groups:
        return list(values.split(self.sizes, dim=-1))

    def residual(self, u: Groups) -> Groups:
        joined = torch.cat(u, dim=-1)
        return self.split(self.targets - joined @ MATRIX.T - joined**3)

    def tangent(self, u: Groups) -> torch.Tensor:
        return MATRIX + torch.diag_embed(3 * torch.cat(u, dim=-1) ** 2)

    def product(self, u: Groups, v: Groups) -> Groups:
        joined = torch.cat(v, dim=-1).unsqueeze(-1)
        return self.split((self.tangent(u) @ joined).squeeze(-1))

    def setup(self, u: Groups) -> Groups:
        self.setups += 1
        return [self.tangent(u).reshape(-1, 4, 4).inverse()]

    @staticmethod
    def apply(state: Groups, r: torch.Tensor) -> torch.Tensor:
        return (state[0] @ r.unsqueeze(-1)).squeeze(-1)

    def solve(self, guess: torch.Tensor, *, preconditioned: bool = False, **changes: Any) -> Any:
        layout = [("dense", []) for _ in self.sizes]
        settings: dict[str, Any] = {
            "unknown_layout": layout,
            "residual_layout": layout,
            "atol": 1e-11,
            "rtol": 1e-12,
            "miters": 40,
            "ls_type": "BACKTRACKING",
            "ls_max_iters": 1,
            "ls_cutback": 2.0,
            "ls_c": 1e-3,
            "precond_setup_fn": self.setup if preconditioned else None,
            "precond_apply_fn": self.apply if preconditioned else None,
        }
        return krylov_solve_eager(
            residual_fn=self.residual,
            matvec_fn=self.product,
            u0=self.split(guess),
            **(settings | changes),
        )


@pytest.mark.parametrize("method", ["gmres", "bicgstab"])
@pytest.mark.parametrize("sizes", [(4,), (1, 3)])
@pytest.mark.parametrize("batch", [(), (1,), (3,), (5,), (2, 2)])
def test_newton_solves_any_batch_and_grouping(
    method: str, sizes: tuple[int, ...], batch: tuple[int, ...]
) -> None:
    rows = max(1, int(torch.tensor(batch).prod()))
    targets = TARGETS[:rows].reshape(*batch, 4)
    system = Cubic(targets, sizes)
    u, converged, updates = system.solve(torch.zeros(*batch, 4).double(), method=method)
    residual = torch.cat(system.residual(u), dim=-1)
    assert residual.shape == targets.shape
    assert float(residual.abs().max()) < 1e-10
    assert converged is True
    assert updates > 0


def test_guess_without_batch_gets_the_batch_of_the_residual() -> None:
    (u,), _, _ = Cubic(TARGETS).solve(torch.zeros(4).double(), preconditioned=True)
    assert u.shape == (5, 4)


def test_log_is_returned_to_those_who_pass_collect_log() -> None:
    guess = torch.zeros(5, 4).double()
    assert len(Cubic(TARGETS).solve(guess)) == 3
    assert Cubic(TARGETS).solve(guess, collect_log=False)[3] == []
    assert Cubic(TARGETS).solve(guess, collect_log=True)[3][0].startswith("ITERATION   0, |R| = ")


@pytest.mark.parametrize(
    ("strategy", "limit", "expected"),
    [
        ("none", 10, "every"),
        ("chord", 0, "once"),
        ("max_its", 100, "once"),
        ("max_its", 0, "every"),
    ],
)
def test_preconditioner_is_rebuilt_as_the_cache_says(
    strategy: str, limit: int, expected: str
) -> None:
    system = Cubic(TARGETS)
    _, _, updates = system.solve(
        torch.zeros(5, 4).double(),
        preconditioned=True,
        cache_strategy=strategy,
        cache_max_its=limit,
    )
    assert updates > 2
    assert system.setups == {"every": updates, "once": 1}[expected]


def test_residual_is_evaluated_once_for_each_iterate(monkeypatch: pytest.MonkeyPatch) -> None:
    system = Cubic(TARGETS)
    calls: list[Groups] = []
    residual = system.residual
    monkeypatch.setattr(system, "residual", lambda u: calls.append(u) or residual(u))
    _, _, updates = system.solve(torch.zeros(5, 4).double())
    assert len(calls) == updates + 1


def test_block_group_is_rejected() -> None:
    with pytest.raises(AOTIError) as caught:
        Cubic(TARGETS).solve(TARGETS, unknown_layout=[("dense", []), ("block", [3])])
    assert str(caught.value) == (
        "native Krylov solve: unknown group 1 is 'block' with sub-batch shape (3,); expected dense"
        " groups only. Use DenseLU or SchurComplement as linear_solver, or declare the group dense"
        " in the equation system."
    )


@pytest.mark.parametrize(
    ("name", "word", "expected"),
    [("method", "cg", "gmres, bicgstab"), ("cache_strategy", "often", "none, chord, max_its")],
)
def test_unknown_word_is_rejected(name: str, word: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        Cubic(TARGETS).solve(TARGETS, **{name: word})
    assert str(caught.value) == (
        f"native Krylov solve: {name} is '{word}'; expected one of {expected}."
        " Correct the linear solver in the input file."
    )


@pytest.mark.parametrize("name", ["restart", "max_its"])
def test_limit_below_one_is_rejected(name: str) -> None:
    with pytest.raises(InputError) as caught:
        Cubic(TARGETS).solve(TARGETS, **{name: 0})
    assert str(caught.value) == (
        f"linear solver 'gmres': {name} is 0; expected 1 or more."
        " Correct the linear solver in the input file."
    )


@pytest.mark.parametrize("shape", [(4,), (1, 4), (3, 4), (5, 4), (2, 2, 4)])
@pytest.mark.parametrize("method", ["gmres", "bicgstab"])
def test_linear_solve_keeps_the_shape(method: str, shape: tuple[int, ...]) -> None:
    b = TARGETS.flatten()[: torch.Size(shape).numel()].reshape(shape)
    x = krylov_solve_linear(lambda v: v @ MATRIX.T, b, method=method, rel_tol=1e-12)
    assert x.shape == shape
    torch.testing.assert_close(x @ MATRIX.T, b, rtol=0, atol=1e-9)


def test_linear_solve_that_misses_its_tolerance_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet_log(monkeypatch)
    singular = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))
    b = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    with pytest.warns(RuntimeWarning) as caught:
        x = krylov_solve_linear(lambda v: v @ singular, b)
    assert [str(warning.message) for warning in caught] == [
        "linear solve did not converge (gmres, iters=1): 1 of 2 rows are above their tolerance"
        " (worst row 1: |b - A x| = 2.000e+00, tolerance 2.000e-04). Its result is used as it is."
        " Raise max_its or restart, use a preconditioner, or a direct solver."
    ]
    assert x.tolist() == [[1.0, 0.0], [0.0, 0.0]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, search_path: Any) -> dict[str, Any]:
    """Histories, tangents and gradients of neml2's models, run with the plugin active."""
    pytest.importorskip("neml2.solvers.gmres", exc_type=ImportError)
    fresh = Interpreter(search_path, tmp_path_factory.mktemp("krylov"))
    printed: dict[str, Any] = json.loads(fresh.output(str(HERE / "krylov_trajectory.py")))
    return printed


def floats(values: list[list[str]]) -> list[float]:
    return [float.fromhex(number) for numbers in values for number in numbers]


@pytest.mark.slow
def test_native_models_agree_with_the_direct_solver(results: dict[str, Any]) -> None:
    for case, values in results.items():
        *kind, _, batch = case.split(" ")
        reference = floats(results[" ".join([*kind, "direct", batch])])
        scale = max(map(abs, reference))
        # Newton stops at 1e-12 of its first residual, which an inexact step does not overshoot.
        assert floats(values) == pytest.approx(reference, rel=0, abs=1e-8 * scale), case


@pytest.mark.slow
def test_missed_tolerance_is_in_the_log_of_the_host(
    interpreter: Interpreter,
) -> None:
    code = """
import neml2, neml2.aoti, torch
import neml2.log
from neml2.aoti._aoti import krylov_solve_linear
krylov_solve_linear(lambda v: 0 * v, torch.ones(1, 2))
"""
    if interpreter.execute("import neml2; print(hasattr(neml2, 'log'))") == "False\n":
        pytest.skip("this neml2 has no log and no Krylov solvers")
    result = interpreter.run("-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stderr.startswith("[neml2:linear ][warn] linear solve did not converge (gmres, ")
