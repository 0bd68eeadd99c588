"""neml2's own drivers on compiled models: native golds are the oracle, shapes included."""

from __future__ import annotations

import itertools

import neml2
import pytest
import torch
from artifact_cache import CompiledCase
from neml2.drivers.ModelUnitTest import ModelUnitTest

from neml2_aoti_plugin import AOTIModel

pytestmark = pytest.mark.usefixtures("float64_default")


def test_transient_regression_passes_with_our_model(chaboche: CompiledCase) -> None:
    """Those of all inputs are tests of their own, in inputs/."""
    factory = neml2.load_input(chaboche.stub)
    assert isinstance(factory.get_model("model"), AOTIModel)
    assert factory.get_driver("regression").run()


def test_transient_driver_keeps_every_step_apart(chaboche: CompiledCase) -> None:
    driver = neml2.load_input(chaboche.stub).get_driver("driver")
    assert driver.run()
    stresses = [value for key, value in driver.result().items() if key.endswith(".stress")]
    for earlier, later in itertools.pairwise(stresses):
        assert not torch.equal(earlier, later)
    again = neml2.load_input(chaboche.stub).get_driver("driver")
    again.run()
    for key, value in driver.result().items():
        assert torch.equal(value, again.result()[key]), key


def test_verification_passes_against_hookes_law(elasticity: CompiledCase) -> None:
    lines = """
    [Tensors]
      [expected]
        type = Python
        expr = 'SR2(2.0e5 / 1.3 * amplitudes + 2.0e5 * 0.3 / (1.3 * 0.4)
                    * amplitudes[:, :3].sum(-1, keepdim=True)
                    * torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]))'
      []
    []
    [Drivers]
      [verification]
        type = Verification
        driver = 'driver'
        time_steps = '4'
        SR2_names = 'output.stress'
        SR2_values = 'expected'
        rtol = 1e-12
      []
    []
    """
    factory = neml2.load_input(elasticity.stub, post=[lines])
    assert factory.get_driver("verification").run()


def test_unit_test_of_the_host_checks_values(elasticity: CompiledCase) -> None:
    lines = f"""
    [Models]
      [model]
        type = AOTIModel
        artifact_path = '{elasticity.root}'
      []
    []
    [Drivers]
      [unit]
        type = ModelUnitTest
        model = 'model'
        input_SR2_names = 'strain'
        input_SR2_values = 'strain'
        output_SR2_names = 'stress'
        output_SR2_values = '{{expected}}'
        value_rel_tol = 1e-12
      []
    []
    [Tensors]
      [strain]
        type = Python
        expr = 'SR2(torch.tensor([[0.0, 0.0, 0.0, 1e-3, 0.0, 0.0]]))'
      []
      [right]
        type = Python
        expr = 'SR2(2.0e5 / 1.3 * torch.tensor([[0.0, 0.0, 0.0, 1e-3, 0.0, 0.0]]))'
      []
      [wrong]
        type = Python
        expr = 'SR2(2.1e5 / 1.3 * torch.tensor([[0.0, 0.0, 0.0, 1e-3, 0.0, 0.0]]))'
      []
    []
    """
    assert ModelUnitTest.from_string(lines.format(expected="right")).check_values() == 1
    with pytest.raises(AssertionError, match="value mismatch for output 'stress'"):
        ModelUnitTest.from_string(lines.format(expected="wrong")).check_values()
