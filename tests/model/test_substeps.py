"""Increments that one solve does not reach: halved row by row, with a consistent tangent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from features import YIELD_STRESS, compiled_perzyna, increments, perzyna, rows_of
from twins import Tensors, scaled_difference

from neml2_aoti_plugin import ConvergenceError, Model
from neml2_aoti_plugin.errors import UnsupportedFeatureError
from neml2_aoti_plugin.solves import SolveRecord

EASY, HARD = 5e-4, 0.05
"""Strains that take fewer and more than :data:`UPDATES` Newton updates."""
UPDATES = 9


def limited(variant: str) -> Model:
    return limited_model(perzyna(variant))


def limited_model(model: Model) -> Model:
    """Few updates per solve, so that hard increments have to be halved."""
    model.set_solver_config(1e-12, 1e-10, UPDATES, "BACKTRACKING", 1, 2.0, 1e-3, 1e-4)
    return model


@pytest.fixture(scope="module")
def model() -> Model:
    return limited("substepped")


@pytest.fixture(scope="module")
def single() -> Model:
    """The same without substeps."""
    return limited("promoted")


def mixed(easy: int = 2, hard: int = 2) -> Tensors:
    """Easy rows first, then hard ones."""
    parts = (increments(easy, strain=EASY), increments(hard, strain=HARD, seed=1))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def solve(model: Model, inputs: Tensors) -> tuple[Tensors, SolveRecord]:
    solves: list[SolveRecord] = []
    outputs = model.forward(inputs, solves=solves)
    (record,) = solves
    return outputs, record


def test_easy_increments_are_not_divided(model: Model, single: Model) -> None:
    inputs = increments(4, strain=EASY)
    outputs, record = solve(model, inputs)
    assert record.substeps.tolist() == [1, 1, 1, 1]
    for name, value in single.forward(inputs).items():
        assert scaled_difference(outputs[name], value) < 1e-9


def test_hard_increments_are_divided_and_easy_ones_beside_them_are_not(
    model: Model, single: Model
) -> None:
    with pytest.raises(ConvergenceError) as caught:
        single.forward(mixed())
    assert caught.value.converged_mask.tolist() == [True, True, False, False]
    _, record = solve(model, mixed())
    assert record.substeps[:2].tolist() == [1, 1]
    assert (record.substeps[2:] > 1).all()
    assert record.converged_mask.all()


def test_substeps_do_what_a_caller_who_halves_the_increment_does(
    model: Model, single: Model
) -> None:
    inputs = increments(1, strain=HARD, seed=1)
    outputs, record = solve(model, inputs)
    parts = [(a.begin, a.end) for a in record.attempts if a.failed == 0]
    assert parts[0][0] == 0.0
    assert parts[-1][1] == 1.0
    state = inputs["plastic_strain~1"]
    for begin, end in parts:
        at = {
            name: inputs[f"{name}~1"] + end * (inputs[name] - inputs[f"{name}~1"])
            for name in ("strain", "t")
        } | {
            f"{name}~1": inputs[f"{name}~1"] + begin * (inputs[name] - inputs[f"{name}~1"])
            for name in ("strain", "t")
        }
        result = single.forward(at | {"plastic_strain~1": state})
        state = result["plastic_strain"]
    assert scaled_difference(outputs["plastic_strain"], state) < 1e-9


def test_substepped_rows_do_not_depend_on_their_neighbours(model: Model) -> None:
    together = model.forward(mixed())
    _, blocks = model.jacobian(mixed())
    for row in range(4):
        alone = model.forward(rows_of(mixed(), row))
        _, alone_blocks = model.jacobian(rows_of(mixed(), row))
        for name, value in alone.items():
            assert scaled_difference(together[name][row : row + 1], value) < 1e-12
        block = blocks["stress"]["strain"][row : row + 1]
        assert scaled_difference(block, alone_blocks["stress"]["strain"]) < 1e-10


@pytest.mark.parametrize("shape", [(2, 2), (1, 4), ()])
def test_substeps_work_at_any_batch_rank(model: Model, shape: tuple[int, ...]) -> None:
    flat = mixed() if shape else increments(1, strain=HARD, seed=1)
    shaped = {name: value.reshape((*shape, *value.shape[1:])) for name, value in flat.items()}
    found, expected = model.forward(shaped), model.forward(flat)
    for name, value in expected.items():
        assert torch.equal(found[name].reshape(value.shape), value)


@pytest.mark.parametrize("name", ["strain", "strain~1", "plastic_strain~1", "t", "t~1"])
def test_jacobian_is_that_of_the_substeps_taken(model: Model, name: str) -> None:
    inputs = increments(2, strain=HARD, seed=1)
    _, blocks = model.jacobian(inputs)
    step = 1e-5 if name.startswith("t") else 1e-8
    value = inputs[name]
    columns = []
    for k in range(value[0].numel()):
        direction = torch.zeros_like(value).reshape(2, -1)
        direction[:, k] = step
        direction = direction.reshape(value.shape)
        above = model.forward(inputs | {name: value + direction})["plastic_strain"]
        below = model.forward(inputs | {name: value - direction})["plastic_strain"]
        columns.append((above - below) / (2 * step))
    expected = torch.stack(columns, -1)
    found = blocks["plastic_strain"][name].reshape(expected.shape)
    assert scaled_difference(found, expected) < 2e-6


def test_jvp_contracts_the_jacobian_of_the_substeps(model: Model) -> None:
    inputs = mixed()
    tangents = increments(4, seed=3)
    _, blocks = model.jacobian(inputs)
    _, found = model.jvp(inputs, tangents)
    for output, row in blocks.items():
        expected = sum(
            (block.reshape(4, 6, -1) @ tangents[name].reshape(4, -1, 1)).squeeze(-1)
            for name, block in row.items()
        )
        assert scaled_difference(found[output], expected) < 1e-12


def test_param_jacobian_is_that_of_the_substeps_taken(model: Model) -> None:
    inputs = mixed()
    value = model.named_parameters()[YIELD_STRESS].clone()
    _, blocks = model.param_jacobian(inputs)
    step = 1e-4 * value
    above, below = (
        model.forward(inputs, {YIELD_STRESS: value + sign * step})["plastic_strain"]
        for sign in (1.0, -1.0)
    )
    expected = (above - below) / (2 * step)
    for row in range(4):  # each at its own scale
        found = blocks["plastic_strain"][YIELD_STRESS][row]
        assert scaled_difference(found, expected[row]) < 1e-6


# --- derivatives of which only some were compiled


def edited(edit: Callable[[dict[str, Any]], None], folder: Path) -> Model:
    """The substepped artifact with another description of it, under few updates."""
    root = folder / "edited"
    shutil.copytree(compiled_perzyna("substepped").root, root)
    file = root / "metadata.json"
    metadata = json.loads(file.read_text())
    edit(metadata)
    file.write_text(json.dumps(metadata))
    return limited_model(Model(root))


def keep_stress_by_strain(metadata: dict[str, Any]) -> None:
    """What ``-d stress:strain -d stress:<yield stress>`` writes."""
    (segment,) = (s for s in metadata["segments"] if s["kind"] == "implicit")
    segment["jacobian_pairs"] = [p for p in segment["jacobian_pairs"] if p["in_var"] == "strain"]
    metadata["derivatives"] = [["stress", "strain"]]
    metadata["parameter_derivatives"] = [["stress", YIELD_STRESS]]


def drop_input_derivatives(metadata: dict[str, Any]) -> None:
    """What ``-d stress:<yield stress>`` alone writes."""
    (segment,) = (s for s in metadata["segments"] if s["kind"] == "implicit")
    for key in ("jacobian_pairs", "jacobian_given_package", "solve_ift_package"):
        del segment[key]
    del segment["input_sensitivity"]
    metadata["derivatives"] = []


def test_substeps_need_no_derivatives_but_those_asked_for(model: Model, tmp_path: Path) -> None:
    """One substep hands on to the next what the artifact was not asked to differentiate."""
    some = edited(keep_stress_by_strain, tmp_path)
    _, expected = model.jacobian(mixed())
    _, found = some.jacobian(mixed())
    assert [(output, *row) for output, row in found.items()] == [("stress", "strain")]
    assert scaled_difference(found["stress"]["strain"], expected["stress"]["strain"]) < 1e-10
    _, expected = model.param_jacobian(mixed())
    _, found = some.param_jacobian(mixed())
    for row in range(4):  # each at its own scale
        block = found["stress"][YIELD_STRESS][row]
        assert scaled_difference(block, expected["stress"][YIELD_STRESS][row]) < 1e-10


def test_derivatives_that_substeps_cannot_tell_are_refused(model: Model, tmp_path: Path) -> None:
    some = edited(drop_input_derivatives, tmp_path)
    easy = increments(2, strain=EASY)
    _, expected = model.param_jacobian(easy)
    _, found = some.param_jacobian(easy)
    assert torch.equal(found["stress"][YIELD_STRESS], expected["stress"][YIELD_STRESS])
    assert torch.equal(some.forward(mixed())["stress"], model.forward(mixed())["stress"])
    with pytest.raises(
        UnsupportedFeatureError, match=r"in substeps\. They need .*neml2-compile -d :"
    ):
        some.param_jacobian(mixed())


def test_substepped_rows_take_their_own_parameters(model: Model) -> None:
    values = torch.tensor([40.0, 60.0, 60.0, 90.0], dtype=torch.float64)
    together = model.forward(mixed(), {YIELD_STRESS: values})
    for row, value in enumerate(values):
        alone = model.forward(rows_of(mixed(), row), {YIELD_STRESS: value})
        for name, expected in alone.items():
            assert scaled_difference(together[name][row : row + 1], expected) < 1e-12


def test_a_row_that_fails_for_good_leaves_the_others_their_results(model: Model) -> None:
    inputs = mixed()
    inputs["strain"][0] = 1e6
    with pytest.raises(ConvergenceError) as caught:
        model.forward(inputs)
    error = caught.value
    assert error.converged_mask.tolist() == [False, True, True, True]
    assert "after 5 halvings" in str(error)
    expected = model.forward(rows_of(inputs, 1, 2, 3))["plastic_strain"]
    assert scaled_difference(error.unknowns["plastic_strain"][1:], expected) < 1e-12


def test_after_a_failure_the_model_answers_as_before(model: Model) -> None:
    before = model.forward(mixed())
    broken = mixed()
    broken["strain"][0] = torch.nan
    with pytest.raises(ConvergenceError):
        model.forward(broken)
    for name, value in model.forward(mixed()).items():
        assert torch.equal(value, before[name])


def test_inputs_are_not_changed_by_substeps(model: Model) -> None:
    inputs = mixed()
    copies = {name: value.clone() for name, value in inputs.items()}
    model.forward(inputs)
    for name, value in copies.items():
        assert torch.equal(inputs[name], value)
