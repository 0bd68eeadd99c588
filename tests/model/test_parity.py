"""Values and derivatives against neml2's native model and against differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from differences import differences
from twins import Twin, scaled_difference, sensitivity_scale

from neml2_aoti_plugin import Model

BATCHES = [(1,), (7,), (1000,), (3, 5), ()]

VALUE_TOLERANCE = 1e-10
"""Both sides take the same iterations; what is left is rounding, amplified by the stiffness of a
model."""

ROWS_COMPARED = 20

DIFFERENCE_TOLERANCE = 1e-6
"""Central differences of smooth functions in double precision."""


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_forward_agrees_with_the_native_model(twin: Twin, batch: tuple[int, ...]) -> None:
    inputs = twin.inputs(*batch)
    found = twin.model.forward(inputs)
    assert list(found) == twin.model.output_names
    flat = {
        name: value.flatten(0, len(batch) - 1) if batch else value[None]
        for name, value in found.items()
    }
    flat_inputs = {
        name: value.reshape(-1, *value.shape[len(batch) :]) for name, value in inputs.items()
    }
    rows = math.prod(batch)
    for row in range(0, rows, max(1, rows // ROWS_COMPARED)):
        expected = twin.run_native(
            {name: value[row : row + 1] for name, value in flat_inputs.items()}
        )
        for name, value in flat.items():
            reference = expected[name].expand(1, *value.shape[1:])[0]
            assert scaled_difference(value[row], reference) < VALUE_TOLERANCE, (name, row)


@pytest.mark.parametrize("rows", [1, 7])
def test_forward_agrees_with_the_native_model_along_a_driven_history(
    driven: Twin, rows: int
) -> None:
    inputs = driven.inputs(rows)
    found = driven.model.forward(inputs)
    assert list(found) == driven.model.output_names
    alone = [
        driven.run_native({name: value[row : row + 1] for name, value in inputs.items()})
        for row in range(rows)
    ]
    for name, value in found.items():
        expected = torch.cat([row[name].expand(1, *value.shape[1:]) for row in alone])
        assert scaled_difference(value, expected) < VALUE_TOLERANCE, name


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_native_chaboche_agrees_in_a_batch(twin_of: Callable[[str], Twin], rows: int) -> None:
    """The native model calls our Newton, on every torch; its rows stop when the slowest does."""
    twin = twin_of("chaboche")
    inputs = twin.inputs(rows)
    expected = twin.run_native(inputs)
    for name, value in twin.model.forward(inputs).items():
        assert scaled_difference(value, expected[name]) < 1e-8, name


def test_jacobian_agrees_with_central_differences(differentiable: Twin) -> None:
    twin = solved_to_rounding(differentiable)
    inputs = twin.inputs(3)
    outputs, blocks = twin.model.jacobian(inputs)
    assert blocks
    for input in {name: None for row in blocks.values() for name in row}:
        references = differences(twin.model, inputs, input)
        for output, row in blocks.items():
            reference = references[output]
            error = (row[input].expand(reference.shape) - reference).abs().max().item()
            scale = sensitivity_scale(outputs[output], inputs[input], row[input])
            assert error < DIFFERENCE_TOLERANCE * scale, (output, input)


def test_jvp_agrees_with_jacobian(differentiable: Twin) -> None:
    twin = differentiable
    inputs = twin.inputs(3, 2)
    generator = torch.Generator().manual_seed(1)
    _, blocks = twin.model.jacobian(inputs)
    columns = {name for row in blocks.values() for name in row}
    tangents = {
        name: torch.rand(value.shape, dtype=value.dtype, generator=generator) * value.abs().max()
        for name, value in inputs.items()
        if name in columns
    }
    outputs, derivatives = twin.model.jvp(inputs, tangents)
    for output, row in blocks.items():
        expected = sum(
            contract(block, tangents[input], outputs[output]) for input, block in row.items()
        )
        assert scaled_difference(derivatives[output], expected) < 1e-12, output


def test_a_row_alone_and_in_a_thousand_is_the_same(twin: Twin) -> None:
    inputs = twin.inputs(1000)
    together = twin.model.forward(inputs)
    for row in (0, 1, 499, 999):
        alone = twin.model.forward({name: value[row] for name, value in inputs.items()})
        for name, value in alone.items():
            assert scaled_difference(value, together[name][row]) < 1e-12, (name, row)


def contract(block: torch.Tensor, tangent: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """J t for every row of a batch of rank two."""
    batch = output.shape[:2]
    rows = batch.numel()
    columns = tangent.reshape(rows, -1, 1)
    unbatched = block.dim() == output.dim() + tangent.dim() - 4
    matrix = block.expand(*batch, *block.shape) if unbatched else block
    matrix = matrix.reshape(rows, -1, columns.shape[1])
    return (matrix @ columns).reshape(output.shape)


def solved_to_rounding(twin: Twin) -> Twin:
    """Differences should see the function and not the solver."""
    model = Model(twin.case.root)
    model.set_solver_config(1e-13, 1e-12, 60, "BACKTRACKING", 1, 2.0, 1e-3)
    return replace(twin, model=model)
