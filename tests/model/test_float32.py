"""Artifacts of single precision take and give float32 and nothing else."""

from __future__ import annotations

import pytest
import torch
from twins import Tensors, Twin, scaled_difference

from neml2_aoti_plugin import ConvergenceError, Model
from neml2_aoti_plugin.errors import InputTypeError

ROUNDING = 1e-6
"""A few units in the last place of float32."""

SOLVED = 1e-4
"""What a residual of 1e-5 of its start leaves in the unknowns."""


@pytest.fixture(scope="module")
def elastic(elasticity_float32) -> Model:
    return Model(elasticity_float32.root)


@pytest.fixture(scope="module")
def viscoplastic(chaboche_float32) -> Model:
    return Model(chaboche_float32.root)


def rounded(inputs: Tensors) -> Tensors:
    return {name: value.float() for name, value in inputs.items()}


def widened(inputs: Tensors) -> Tensors:
    return {name: value.double() for name, value in inputs.items()}


def test_the_only_leaf_is_taken_and_is_float32(elastic: Model) -> None:
    assert elastic.dtype == torch.float32


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3), (0,)], ids=str)
def test_forward_is_close_to_double_precision(
    elastic: Model, viscoplastic: Model, twin_of, batch: tuple[int, ...]
) -> None:
    for model, name, tolerance in (
        (elastic, "elasticity", ROUNDING),
        (viscoplastic, "chaboche", SOLVED),
    ):
        twin: Twin = twin_of(name)
        inputs = rounded(twin.inputs(*batch))
        expected = twin.model.forward(widened(inputs))
        for key, value in model.forward(inputs).items():
            assert value.dtype == torch.float32
            assert scaled_difference(value.double(), expected[key]) < tolerance, key


def test_derivatives_are_float32_and_close_to_double_precision(
    viscoplastic: Model, twin_of
) -> None:
    twin: Twin = twin_of("chaboche")
    inputs = rounded(twin.inputs(3))
    _, expected = twin.model.jacobian(widened(inputs))
    outputs, blocks = viscoplastic.jacobian(inputs)
    assert all(value.dtype == torch.float32 for value in outputs.values())
    for output, row in expected.items():
        for name, block in row.items():
            assert blocks[output][name].dtype == torch.float32
            assert scaled_difference(blocks[output][name].double(), block) < 1e-3, (output, name)
    _, derivatives = viscoplastic.jvp(inputs, inputs)
    assert all(value.dtype == torch.float32 for value in derivatives.values())


def test_a_float64_input_is_refused(elastic: Model) -> None:
    with pytest.raises(InputTypeError) as caught:
        elastic.forward({"strain": torch.zeros(4, 6, dtype=torch.float64)})
    assert str(caught.value) == (
        "input 'strain' has dtype float64, but the artifact takes float32; convert it with "
        ".to(torch.float32)"
    )


def test_a_float64_tangent_is_refused(elastic: Model) -> None:
    strain = torch.zeros(4, 6, dtype=torch.float32)
    with pytest.raises(InputTypeError) as caught:
        elastic.jvp({"strain": strain}, {"strain": strain.double()})
    assert str(caught.value) == (
        "tangent 'strain' has dtype float64, but the artifact takes float32; convert it with "
        ".to(torch.float32)"
    )


def test_results_share_no_memory_with_inputs(elastic: Model) -> None:
    strain = torch.zeros(6, dtype=torch.float32)
    outputs = elastic.forward({"strain": strain})
    assert outputs["stress"].untyped_storage().data_ptr() != strain.untyped_storage().data_ptr()


def test_a_failed_solve_hands_over_float32_unknowns(viscoplastic: Model, twin_of) -> None:
    inputs = rounded(twin_of("chaboche").inputs(2))
    inputs["strain"][1] = torch.nan
    with pytest.raises(ConvergenceError) as caught:
        viscoplastic.forward(inputs)
    assert caught.value.unknowns["stress"].dtype == torch.float32
    assert caught.value.unknowns["stress"].shape == (2, 6)
    assert caught.value.residual_norms.dtype == torch.float64
    assert caught.value.converged_mask.tolist() == [True, False]
