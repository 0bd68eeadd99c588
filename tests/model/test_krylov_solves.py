"""Implicit updates whose linear systems are solved iteratively, against the direct ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from features import compiled_perzyna, increments, perzyna, rows_of
from twins import scaled_difference

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.solves import SolveRecord

METHODS = ("gmres", "bicgstab")


@pytest.fixture(scope="module")
def direct() -> Model:
    return perzyna("promoted")


def with_settings(method: str, folder: Path, **settings: Any) -> Model:
    """The compiled model with other settings of its linear solves."""
    root = folder / "edited"
    shutil.copytree(compiled_perzyna(method).root, root)
    file = root / "metadata.json"
    metadata = json.loads(file.read_text())
    metadata["solver_config"]["krylov"] |= settings
    file.write_text(json.dumps(metadata))
    return Model(root)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", [(1,), (7,), (2, 3), ()])
def test_values_agree_with_a_direct_solve(
    direct: Model, method: str, batch: tuple[int, ...]
) -> None:
    inputs = increments(*batch)
    found = perzyna(method).forward(inputs)
    for name, value in direct.forward(inputs).items():
        assert scaled_difference(found[name], value) < 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_rows_do_not_depend_on_their_neighbours(method: str) -> None:
    model, inputs = perzyna(method), increments(5)
    together = model.forward(inputs)
    for row in range(5):
        for name, value in model.forward(rows_of(inputs, row)).items():
            assert scaled_difference(together[name][row : row + 1], value) < 1e-12


def test_jacobian_agrees_with_a_direct_solve(direct: Model) -> None:
    inputs = increments(4)
    _, found = perzyna("gmres").jacobian(inputs)
    _, expected = direct.jacobian(inputs)
    for output, row in expected.items():
        for name, block in row.items():
            assert scaled_difference(found[output][name], block) < 1e-8, (output, name)


@pytest.mark.parametrize("method", METHODS)
def test_linear_iterations_are_recorded_by_row(method: str) -> None:
    solves: list[SolveRecord] = []
    perzyna(method).forward(increments(3), solves=solves)
    (record,) = solves
    assert (record.linear_iterations >= record.iterations).all()
    assert record.missed_linear_solves.tolist() == [0, 0, 0]
    assert record.worst_linear_excess.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("strategy", ["none", "chord", "max_its"])
def test_cache_strategies_give_the_same_answer(
    direct: Model, tmp_path: Path, strategy: str
) -> None:
    model = with_settings("gmres", tmp_path, cache_strategy=strategy, cache_max_its=1)
    inputs = increments(4)
    found = model.forward(inputs)
    for name, value in direct.forward(inputs).items():
        assert scaled_difference(found[name], value) < 1e-9


def test_a_linear_solve_that_misses_its_tolerance_is_reported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = with_settings("gmres", tmp_path, max_its=3, rel_tol=1e-13)
    solves: list[SolveRecord] = []
    model.forward(increments(3), solves=solves)
    (record,) = solves
    assert record.missed_linear_solves.max() > 0
    assert record.worst_linear_excess.max() > 1.0
    said = "".join(capfd.readouterr())
    assert "iterative linear solves did not converge in" in said
    assert "times its tolerance" in said


@pytest.mark.parametrize("method", METHODS)
def test_no_rows_need_no_solve(method: str) -> None:
    assert perzyna(method).forward(increments(0))["stress"].shape == (0, 6)


def test_a_row_that_is_not_a_number_fails_alone() -> None:
    from neml2_aoti_plugin import ConvergenceError

    inputs = increments(3)
    inputs["strain"][1] = torch.nan
    with pytest.raises(ConvergenceError) as caught:
        perzyna("gmres").forward(inputs)
    assert caught.value.converged_mask.tolist() == [True, False, True]


def test_sensitivities_that_ask_for_an_iterative_solver_are_exact(
    direct: Model, tmp_path: Path
) -> None:
    root = tmp_path / "edited"
    shutil.copytree(compiled_perzyna("promoted").root, root)
    file = root / "metadata.json"
    metadata = json.loads(file.read_text())
    loose = {"method": "gmres", "restart": 2, "max_its": 1, "abs_tol": 0.0, "rel_tol": 0.1}
    for key, graph in (
        ("input_sensitivity", "solve_ift_package"),
        ("param_sensitivity", "solve_param_package"),
    ):
        metadata["segments"][0][key] = {"kind": "krylov", "krylov": loose}
        del metadata["segments"][0][graph]
    file.write_text(json.dumps(metadata))
    model, inputs = Model(root), increments(4)
    for operation in ("jacobian", "param_jacobian"):
        _, found = getattr(model, operation)(inputs)
        _, expected = getattr(direct, operation)(inputs)
        for output, row in expected.items():
            for name, block in row.items():
                assert scaled_difference(found[output][name], block) < 1e-12, (output, name)
