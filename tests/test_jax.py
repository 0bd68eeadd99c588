"""Compiled models as functions of JAX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from artifact_cache import CompiledCase, compiled

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.errors import DerivativeNotCompiledError, InputError, InputTypeError

jax = pytest.importorskip("jax")

from neml2_aoti_plugin.jax import jax_function  # noqa: E402

STRENGTH = "update.residual.yield_surface.sy"
MODULUS = "update.residual.elasticity.E"


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture(scope="module")
def model(perzyna_promoted: CompiledCase) -> Model:
    model = Model(perzyna_promoted.root)
    model.set_solver_config(1e-12, 1e-13, 100, "BACKTRACKING", 1, 2.0, 1e-3)
    return model


def states(*batch: int) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        "strain": 2e-3 * (generator.random((*batch, 6)) - 0.4),
        "strain~1": np.zeros(6),
        "plastic_strain~1": 1e-4 * (generator.random((*batch, 6)) - 0.5),
        "t": np.array(11.0),
        "t~1": np.array(10.0),
    }


def tensors(arrays: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.asarray(array).copy()) for name, array in arrays.items()}


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_function_of_jax_is_the_model(model: Model, batch: tuple[int, ...], wrap: Any) -> None:
    found = wrap(jax_function(model))(states(*batch))
    expected = model.forward(tensors(states(*batch)))
    assert {name: array.shape for name, array in found.items()} == {
        name: tuple(tensor.shape) for name, tensor in expected.items()
    }
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize("transform", ["jacfwd", "jacrev"])
def test_jacobians_of_jax_are_the_blocks(model: Model, transform: str) -> None:
    function = jax_function(model)
    inputs = states()

    def stress(strain: Any) -> Any:
        return function(inputs | {"strain": strain})["stress"]

    found = getattr(jax, transform)(stress)(inputs["strain"])
    _, blocks = model.jacobian(tensors(inputs))
    expected = blocks["stress"]["strain"]
    np.testing.assert_allclose(
        found, expected, rtol=1e-10, atol=1e-10 * expected.abs().max().item()
    )


def test_gradients_by_parameters_agree_with_differences(model: Model) -> None:
    function = jax_function(model)
    inputs = states(3)

    def work(strength: Any) -> Any:
        return (function(inputs | {STRENGTH: strength})["stress"] ** 2).sum()

    found = jax.jit(jax.grad(work))(np.array(100.0))
    step = 1e-3
    difference = (work(np.array(100.0 + step)) - work(np.array(100.0 - step))) / (2 * step)
    np.testing.assert_allclose(found, difference, rtol=1e-6)


def test_vmap_adds_a_batch_axis_to_inputs_of_any_rank(model: Model) -> None:
    function = jax_function(model)
    inputs = states(2)
    strains = inputs["strain"] * np.linspace(0.5, 1.5, 4)[:, None, None]
    loads = {"strain": strains, "t": np.linspace(10.5, 12.0, 4)}

    def stress(load: dict[str, Any]) -> Any:
        return function(inputs | load)["stress"]

    def work(load: dict[str, Any]) -> Any:
        return (stress(load) ** 2).sum()

    rows = [{name: value[k] for name, value in loads.items()} for k in range(4)]
    np.testing.assert_array_equal(jax.vmap(stress)(loads), np.stack([stress(row) for row in rows]))
    slopes = jax.vmap(jax.grad(work))(loads)
    for k, row in enumerate(rows):
        for name, slope in jax.grad(work)(row).items():
            np.testing.assert_allclose(slopes[name][k], slope, rtol=1e-10)


def test_blocks_without_batch_axes_serve_all_rows(elasticity: CompiledCase) -> None:
    function = jax_function(Model(elasticity.root))
    strain = 1e-3 * np.random.default_rng(1).random((3, 6))
    slope = jax.grad(lambda s: function({"strain": s})["stress"][0].sum())(strain)
    assert np.abs(slope[0]).min() > 0.0
    assert np.abs(slope[1:]).max() == 0.0


def test_what_was_not_compiled_is_refused(model: Model) -> None:
    function = jax_function(model)
    with pytest.raises(DerivativeNotCompiledError, match=f"-d plastic_strain:{MODULUS}"):
        jax.grad(lambda m: function(states() | {MODULUS: m})["stress"].sum())(np.array(2e5))
    values_only = jax_function(Model(compiled("elasticity", variant="values_only").root))
    with pytest.raises(DerivativeNotCompiledError, match="-d stress:strain"):
        jax.grad(lambda s: values_only({"strain": s})["stress"].sum())(np.zeros(6))


def test_wrong_arrays_are_refused(model: Model) -> None:
    function = jax_function(model)
    with pytest.raises(InputError, match="input 'strain' is missing"):
        function({})
    with pytest.raises(InputTypeError, match=r"'strain' has the dtype float32, expected float64$"):
        function(states() | {"strain": np.zeros(6, np.float32)})
    with pytest.raises(InputError, match=r"'strain' has the shape \(5,\)"):
        function(states() | {"strain": np.zeros(5)})
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(InputTypeError, match="jax_enable_x64"):
        function(states())
