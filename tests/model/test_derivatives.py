"""What derivatives are asked for, what comes back, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from twins import Tensors, Twin, scaled_difference

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.errors import DerivativeNotCompiledError, InputError, InputTypeError

STRAIN = torch.linspace(-1e-3, 2e-3, 24, dtype=torch.float64).reshape(4, 6)


@pytest.fixture(scope="module")
def values_only(elasticity_values_only) -> Model:
    return Model(elasticity_values_only.root)


@pytest.fixture(scope="module")
def model(elasticity) -> Model:
    return Model(elasticity.root)


@pytest.mark.parametrize("operation", ["jacobian", "jvp"])
def test_an_artifact_without_derivatives_says_how_to_compile_them(
    values_only: Model, operation: str
) -> None:
    arguments = [{"strain": STRAIN}] + ([{}] if operation == "jvp" else [])
    with pytest.raises(DerivativeNotCompiledError) as caught:
        getattr(values_only, operation)(*arguments)
    assert str(caught.value) == (
        f"{operation}: {values_only.manifest.metadata_file} was compiled without input "
        "derivatives; recompile it with neml2-compile -d OUT:IN for the pairs you need, or -d : "
        "for all of them"
    )


def test_an_artifact_without_derivatives_still_has_values(values_only: Model, model: Model) -> None:
    found = values_only.forward({"strain": STRAIN})["stress"]
    assert scaled_difference(found, model.forward({"strain": STRAIN})["stress"]) < 1e-14


def test_exactly_the_compiled_pairs_come_back(differentiable: Twin) -> None:
    manifest = differentiable.model.manifest
    assert manifest.derivatives
    _, blocks = differentiable.model.jacobian(differentiable.inputs(2))
    found = {(output, name) for output, row in blocks.items() for name in row}
    assert found == set(manifest.derivatives)


def test_an_empty_tangent_dictionary_gives_zeros(differentiable: Twin) -> None:
    outputs, derivatives = differentiable.model.jvp(differentiable.inputs(2), {})
    for name, value in derivatives.items():
        assert torch.equal(value, torch.zeros_like(outputs[name]))


def test_a_missing_tangent_counts_as_zero(twin_of) -> None:
    twin = twin_of("chaboche")
    inputs = twin.inputs(2)
    some = {"strain": twin.inputs(2, seed=1)["strain"]}
    every = {name: torch.zeros_like(value) for name, value in inputs.items()} | some
    _, found = twin.model.jvp(inputs, some)
    _, expected = twin.model.jvp(inputs, every)
    for name, value in expected.items():
        assert value.abs().max() > 0
        assert scaled_difference(found[name], value) < 1e-14


def test_jvp_is_linear_in_the_tangents(differentiable: Twin) -> None:
    inputs = differentiable.inputs(2)
    tangents = differentiable.inputs(2, seed=1)
    scaled = {name: -3.0 * value for name, value in tangents.items()}
    _, once = differentiable.model.jvp(inputs, tangents)
    _, thrice = differentiable.model.jvp(inputs, scaled)
    for name, value in once.items():
        assert scaled_difference(thrice[name], -3.0 * value) < 1e-11


@pytest.mark.parametrize("shape", [(6,), (1, 6), (1, 1, 6), (2, 1, 6), (3, 6)], ids=str)
def test_batch_axes_of_a_tangent_broadcast_to_those_of_the_inputs(
    twin_of, shape: tuple[int, ...]
) -> None:
    twin = twin_of("chaboche")
    inputs = twin.inputs(2, 3)
    tangent = torch.linspace(1e-3, 2e-3, math.prod(shape), dtype=torch.float64).reshape(shape)
    _, found = twin.model.jvp(inputs, {"strain": tangent})
    _, expected = twin.model.jvp(inputs, {"strain": tangent.expand(2, 3, 6)})
    for name, value in expected.items():
        assert torch.equal(found[name], value)


@pytest.mark.parametrize("batch", [(3,), (2, 4), (1, 4)], ids=str)
def test_a_tangent_does_not_widen_the_batch(model: Model, batch: tuple[int, ...]) -> None:
    tangent = torch.zeros(*batch, 6, dtype=torch.float64)
    shown = f"({batch[0]},)" if len(batch) == 1 else str(batch)
    with pytest.raises(InputError) as caught:
        model.jvp({"strain": STRAIN}, {"strain": tangent})
    assert str(caught.value) == (
        f"tangent 'strain' has batch shape {shown}, which does not broadcast to the batch shape "
        "(4,) of the inputs"
    )


def test_a_tangent_of_no_input_is_refused(model: Model) -> None:
    with pytest.raises(InputError) as caught:
        model.jvp({"strain": STRAIN}, {"stain": STRAIN})
    assert str(caught.value) == "tangent 'stain' is not of an input; the model takes strain"


def test_a_tangent_of_another_shape_is_refused(model: Model) -> None:
    with pytest.raises(InputError) as caught:
        model.jvp({"strain": STRAIN}, {"strain": STRAIN[:, :3]})
    assert str(caught.value) == (
        "tangent 'strain' has shape (4, 3), expected (*batch, *base) ending with (6,); base and "
        "sub-batch axes are never broadcast"
    )


def test_a_tangent_of_another_dtype_is_refused(model: Model) -> None:
    with pytest.raises(InputTypeError) as caught:
        model.jvp({"strain": STRAIN}, {"strain": STRAIN.float()})
    assert str(caught.value) == (
        "tangent 'strain' has dtype float32, but the artifact takes float64; convert it with "
        ".to(torch.float64)"
    )


@pytest.mark.parametrize("value", [None, 1.0, [1.0]], ids=str)
def test_a_tangent_that_is_no_tensor_is_refused(model: Model, value: object) -> None:
    with pytest.raises(InputTypeError) as caught:
        model.jvp({"strain": STRAIN}, {"strain": value})
    assert str(caught.value) == (
        f"tangent 'strain' is of type {type(value).__name__}, expected torch.Tensor"
    )


def test_tangents_that_are_no_mapping_are_refused(model: Model) -> None:
    with pytest.raises(InputTypeError) as caught:
        model.jvp({"strain": STRAIN}, STRAIN)
    assert str(caught.value) == "tangents must be a mapping from name to tensor, got Tensor"


GUESSES = ("plastic_strain", "equivalent_plastic_strain", "flow_rate")


def test_the_solution_does_not_depend_on_the_initial_guess(twin_of) -> None:
    twin = twin_of("rate_independent")
    _, blocks = twin.model.jacobian(plastic(twin))
    for output, row in blocks.items():
        assert row["strain"].abs().max() > 0, output
        for guess in GUESSES:
            assert torch.equal(row[guess], torch.zeros_like(row[guess])), (output, guess)


def test_a_tangent_of_the_initial_guess_moves_nothing(twin_of) -> None:
    twin = twin_of("rate_independent")
    inputs = plastic(twin)
    outputs, derivatives = twin.model.jvp(inputs, {name: inputs[name] + 1.0 for name in GUESSES})
    for name, value in derivatives.items():
        assert torch.equal(value, torch.zeros_like(outputs[name]))


def plastic(twin: Twin) -> Tensors:
    inputs = twin.inputs(3)
    inputs["strain"] = inputs["strain"] + torch.tensor([8e-3, -4e-3, -4e-3, 0, 0, 0]).double()
    return inputs


def test_a_strain_increment_acts_through_both_strains(twin_of) -> None:
    twin = twin_of("chaboche")
    _, blocks = twin.model.jacobian(twin.inputs(3))
    for output, row in blocks.items():
        # Only the difference of the two strains enters.
        assert scaled_difference(row["strain"], -row["strain~1"]) < 1e-10, output


def test_the_stiffness_of_elasticity_is_the_closed_form(model: Model) -> None:
    _, blocks = model.jacobian({"strain": STRAIN})
    youngs_modulus, poissons_ratio = 2.0e5, 0.3
    shear = youngs_modulus / (2 * (1 + poissons_ratio))
    lame = youngs_modulus * poissons_ratio / ((1 + poissons_ratio) * (1 - 2 * poissons_ratio))
    expected = 2 * shear * torch.eye(6, dtype=torch.float64)
    expected[:3, :3] += lame
    assert blocks["stress"]["strain"].shape == (6, 6)
    assert scaled_difference(blocks["stress"]["strain"], expected) < 1e-14
