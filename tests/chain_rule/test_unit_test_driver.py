"""neml2's ``ModelUnitTest`` on compiled models: values, and pushed tangents.

Its derivative check compares pushed tangents with those of autograd: the two ways through a
compiled model, each of which also agrees with the native one.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from artifact_cache import CompiledCase
from composites import compiled_leaf, draw, flow_rule, native_flow_rule, surrounded
from neml2.drivers.ModelUnitTest import ModelUnitTest

pytestmark = pytest.mark.usefixtures("float64_default")


def checked(
    model: torch.nn.Module,
    native: torch.nn.Module,
    *batch: int,
    tolerance: float = 1e-10,
    largest: float = 1.0,
) -> tuple[int, int]:
    """How many values and tangents were compared; ``largest``: order of the largest tangent."""
    inputs = {name: model.input_spec[name](value) for name, value in draw(model, *batch).items()}
    values = native(*inputs.values())
    expected = dict(zip(native.output_spec, values, strict=True))
    tolerances = {"rtol": tolerance, "atol": tolerance, "derivative_atol": tolerance * largest}
    harness = ModelUnitTest(model, inputs, expected_outputs=expected, **tolerances)
    report = harness.run()
    counts = (report.value_checks, report.jvp_checks)
    harness._autograd_jvp = ModelUnitTest(native, inputs, **tolerances)._autograd_jvp
    against_native = harness.run()
    assert (against_native.value_checks, against_native.jvp_checks) == counts
    return counts


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_forward_leaf_passes(batch: tuple[int, ...]) -> None:
    assert checked(compiled_leaf(flow_rule()), native_flow_rule(), *batch) == (2, 6)


@pytest.mark.parametrize("batch", [(), (4,)])
def test_composition_around_a_leaf_passes(
    elasticity: CompiledCase,
    native_model: Callable[[str], torch.nn.Module],
    batch: tuple[int, ...],
) -> None:
    ours = surrounded(compiled_leaf(elasticity))
    native = surrounded(native_model("elasticity"))
    assert checked(ours, native, *batch, largest=1e5) == (3, 6)


def test_compiled_solve_passes(chaboche: CompiledCase) -> None:
    """Against itself: the check finds zeros behind the backward pass of a native solve."""
    model = compiled_leaf(chaboche)
    inputs = {name: model.input_spec[name](value) for name, value in draw(model, 3).items()}
    harness = ModelUnitTest(model, inputs, rtol=1e-10, atol=1e-10, derivative_atol=1e-4)
    assert harness.run().jvp_checks == 4 * 8


def test_input_file_with_a_compiled_model_passes(elasticity: CompiledCase) -> None:
    """Hooke's law at uniaxial strain, E = 2e5, nu = 0.3."""
    harness = ModelUnitTest.from_string(_UNIT_TEST.format(elasticity.root))
    report = harness.run()
    assert (report.value_checks, report.jvp_checks) == (1, 1)


_UNIT_TEST = """
[Tensors]
  [strain]
    type = Python
    expr = 'SR2(torch.tensor([1e-3, 0.0, 0.0, 0.0, 0.0, 0.0]))'
  []
  [stress]
    type = Python
    expr = 'SR2(torch.tensor([0.7, 0.3, 0.3, 0.0, 0.0, 0.0]) * 200.0 / (1.3 * 0.4))'
  []
[]
[Models]
  [model]
    type = AOTIModel
    artifact_path = '{}'
    chain_rule = true
  []
[]
[Drivers]
  [unit]
    type = ModelUnitTest
    model = 'model'
    input_SR2_names = 'strain'
    input_SR2_values = 'strain'
    output_SR2_names = 'stress'
    output_SR2_values = 'stress'
  []
[]
"""
