"""Gradients through neml2's own drivers and compositions around a compiled model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import neml2
import pytest
import torch
from artifact_cache import CompiledCase, compiled
from neml2.types import SR2

from neml2_aoti_plugin.hit import AOTIModel

PARAMETERS = ("residual.X1_evolution.C", "residual.yield_function.sy")


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(previous)


def work_of(driver: Any) -> torch.Tensor:
    """Sum of squares of the stresses of all steps but the first."""
    assert driver.run()
    total: torch.Tensor = sum(step["stress"].data.square().sum() for step in driver.result_out[1:])
    return total


def test_a_driver_s_history_has_the_gradient_of_the_native_one() -> None:
    case = compiled("chaboche", variant="promoted")
    ours = neml2.load_input(case.stub).get_driver("driver")
    assert isinstance(ours.model, AOTIModel)
    parameters = ours.model.trainable_parameters()
    work = work_of(ours)
    work.backward()
    theirs = neml2.load_input(case.model_file).get_driver("driver")
    expected = work_of(theirs)
    expected.backward()
    assert work.item() == pytest.approx(expected.item(), rel=1e-9)
    native = dict(theirs.model.named_parameters())
    for name in PARAMETERS:
        found = parameters[name].grad
        assert found is not None
        assert found.item() == pytest.approx(native[name].grad.item(), rel=1e-8), name


def test_a_driver_follows_an_optimiser() -> None:
    driver = neml2.load_input(compiled("chaboche", variant="promoted").stub).get_driver("driver")
    assert isinstance(driver.model, AOTIModel)
    (strength,) = driver.model.trainable_parameters("residual.yield_function.sy").values()
    optimiser = torch.optim.Adam([strength], lr=2.0)
    before = work_of(driver)
    before.backward()
    optimiser.step()  # down the slope: a softer material works less
    assert strength.item() == pytest.approx(88.0, abs=1e-3)
    assert work_of(driver).item() < before.item()


def test_a_compiled_leaf_leaves_the_gradient_of_a_native_composition_as_it_is(
    elasticity: CompiledCase,
) -> None:
    text = """
    [Models]
      [elasticity]
        {elasticity}
      []
      [von_mises]
        type = SR2Invariant
        invariant_type = 'VONMISES'
        tensor = 'stress'
        invariant = 'von_mises_stress'
      []
      [model]
        type = ComposedModel
        models = 'elasticity von_mises'
      []
    []
    """
    native_leaf = "type = LinearIsotropicElasticity\nstrain = 'strain'\nstress = 'stress'\n"
    native_leaf += "coefficients = '2e5 0.3'\ncoefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'"
    leaf = f"type = AOTIModel\nartifact_path = '{elasticity.root}'"
    strains = 1e-3 * torch.randn(4, 6)
    gradients = []
    for body in (leaf, native_leaf):
        model = neml2.factory.load_string(text.format(elasticity=body)).get_model("model")
        strain = strains.clone().requires_grad_()
        result = model(SR2(strain))
        (stress,) = result if isinstance(result, tuple) else (result,)
        gradients.append(torch.autograd.grad(stress.data.sum(), strain)[0])
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=0.0)
