"""The tangents that a compiled model takes and returns, and what it refuses, in its own words."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from artifact_cache import CompiledCase, compiled_feature
from composites import (
    compiled_leaf,
    draw,
    flow_rule,
    identities,
    identity,
    push_forward,
    tangent,
    typed,
)
from neml2.types import SR2, Scalar, Vec

from neml2_aoti_plugin import AOTIModel, errors

pytestmark = pytest.mark.usefixtures("float64_default")


@pytest.fixture(scope="module")
def elastic(elasticity: CompiledCase) -> AOTIModel:
    return compiled_leaf(elasticity)


@pytest.fixture(scope="module")
def flow() -> AOTIModel:
    return compiled_leaf(flow_rule())


# --- what comes back


@pytest.mark.parametrize("directions", [0, 1, 6])
def test_seed_axis_may_have_any_extent(flow: AOTIModel, directions: int) -> None:
    values = draw(flow, 4)
    moving = torch.rand(directions, 4, 6)
    outputs, v_out = push_forward(
        flow, typed(flow, values), {"stress": {"seed": tangent(SR2, moving)}}
    )
    moved = v_out["plastic_strain_rate"]["seed"]
    assert type(moved) is SR2
    assert (moved.k_ndim, moved.k_state, moved.k_pairing) == (1, ("full",), (None,))
    assert moved.data.shape == (directions, 4, 6)
    _, blocks = flow.jacobian(values)
    expected = torch.einsum("boi,kbi->kbo", blocks["plastic_strain_rate"]["stress"], moving)
    torch.testing.assert_close(moved.data, expected)
    rate = v_out["equivalent_plastic_strain_rate"]["seed"]
    assert type(rate) is Scalar
    assert rate.data.shape == (directions, 4)
    assert list(v_out) == list(outputs)


def test_several_seed_axes_are_kept_apart(flow: AOTIModel) -> None:
    values = draw(flow, 4)
    moving = torch.rand(2, 3, 1, 6)
    v = {"stress": {"seed": tangent(SR2, moving, seed_ndim=2)}}
    _, v_out = push_forward(flow, typed(flow, values), v)
    moved = v_out["plastic_strain_rate"]["seed"]
    assert moved.k_ndim == 2
    assert moved.data.shape == (2, 3, 4, 6)
    for i, j in ((0, 0), (1, 2)):
        v = {"stress": {"seed": tangent(SR2, moving[i, j].expand(1, 4, 6))}}
        _, alone = push_forward(flow, typed(flow, values), v)
        torch.testing.assert_close(moved.data[i, j], alone["plastic_strain_rate"]["seed"].data[0])


def test_plain_tensor_is_a_tangent_without_seed_axes(flow: AOTIModel) -> None:
    values = draw(flow, 4)
    moving = torch.rand(4, 6)
    plain = push_forward(flow, typed(flow, values), {"stress": {"seed": moving}})[1]
    wrapped = push_forward(flow, typed(flow, values), {"stress": {"seed": SR2(moving)}})[1]
    for output in flow.output_spec:
        assert plain[output]["seed"].k_ndim == 0
        torch.testing.assert_close(
            plain[output]["seed"].data, wrapped[output]["seed"].data, rtol=0, atol=0
        )


def test_tangent_without_seed_axes_has_the_shape_of_its_output(elastic: AOTIModel) -> None:
    outputs, v_out = push_forward(
        elastic, typed(elastic, draw(elastic, 2, 3)), {"strain": {"seed": SR2(torch.rand(6))}}
    )
    assert v_out["stress"]["seed"].data.shape == outputs["stress"].data.shape == (2, 3, 6)


def test_central_differences_agree(flow: AOTIModel) -> None:
    values = draw(flow, 4)
    step = 1e-6
    for name, kind in flow.input_spec.items():
        moving = torch.rand(values[name].shape) * values[name].abs().mean()
        _, v_out = push_forward(flow, typed(flow, values), {name: {"seed": kind(moving)}})
        ends = [
            flow(*typed(flow, values | {name: values[name] + sign * step * moving}))
            for sign in (1, -1)
        ]
        for output, above, below in zip(flow.output_spec, *ends, strict=True):
            expected = (above.data - below.data) / (2 * step)
            torch.testing.assert_close(v_out[output]["seed"].data, expected, rtol=1e-6, atol=1e-8)


def test_outputs_beside_tangents_equal_those_of_the_plain_call(flow: AOTIModel) -> None:
    arguments = typed(flow, draw(flow, 4))
    outputs, _ = push_forward(flow, arguments, identities(flow, 1))
    for name, expected in zip(flow.output_spec, flow(*arguments), strict=True):
        torch.testing.assert_close(outputs[name].data, expected.data)


def test_output_that_no_moving_input_reaches_has_no_entry(composed: CompiledCase) -> None:
    model = compiled_leaf(composed)
    v = {"t": {"seed": identity(Scalar, 1)}}
    _, v_out = push_forward(model, typed(model, draw(model, 3)), v)
    assert "eigenstrain" not in v_out
    assert "stress" in v_out


@pytest.mark.parametrize("v", [{}, {"strain": {}}])
def test_no_tangents_give_none(elasticity_values_only: CompiledCase, v: dict[str, Any]) -> None:
    model = compiled_leaf(elasticity_values_only)
    strain = draw(model, 4)["strain"]
    stress, v_out = model(SR2(strain), v=v)
    assert v_out == {}
    torch.testing.assert_close(stress.data, model(SR2(strain))[0].data, rtol=0, atol=0)


def test_float32_model_takes_float32_tangents(elasticity_float32: CompiledCase) -> None:
    model = compiled_leaf(elasticity_float32)
    strain = 1e-3 * torch.rand(4, 6, dtype=torch.float32)
    *_, v_out = model(SR2(strain), v={"strain": {"seed": SR2(strain)}})
    assert v_out["stress"]["seed"].data.dtype == torch.float32
    torch.testing.assert_close(v_out["stress"]["seed"].data, model(SR2(strain))[0].data)


def test_tangents_of_a_call_are_fresh_and_leave_their_seeds_alone(elastic: AOTIModel) -> None:
    seed = identity(SR2, 1)
    before = seed.data.clone()
    arguments = typed(elastic, draw(elastic, 3))
    first = push_forward(elastic, arguments, {"strain": {"seed": seed}})[1]["stress"]["seed"]
    kept = first.data.clone()
    push_forward(elastic, arguments, {"strain": {"seed": tangent(SR2, 2 * seed.data)}})
    assert torch.equal(first.data, kept)
    assert torch.equal(seed.data, before)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_copies_keep_the_chain_rule(elastic: AOTIModel, copied: Any) -> None:
    twin = copied(elastic)
    arguments = typed(elastic, draw(elastic, 3))
    v = identities(elastic, 1)
    found, expected = (
        push_forward(model, arguments, v)[1]["stress"]["d_strain"].data for model in (twin, elastic)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


# --- refusals


def refused(model: AOTIModel, v: Any, error: type[Exception], *batch: int) -> str:
    with pytest.raises(error) as caught:
        model(*typed(model, draw(model, *(batch or (4,)))), v=v)
    return str(caught.value)


@pytest.mark.parametrize("argument", ["v2", "vh"])
def test_second_order_is_refused(elastic: AOTIModel, argument: str) -> None:
    with pytest.raises(NotImplementedError) as caught:
        elastic(SR2(torch.zeros(6)), v={"strain": {}}, **{argument: {"strain": {}}})
    assert str(caught.value) == (
        f"compiled model 'model': the call was given 'v', '{argument}', but a compiled model has "
        "no second derivatives. Use the native model."
    )


def test_missing_derivative_names_the_flags(elasticity_values_only: CompiledCase) -> None:
    model = compiled_leaf(elasticity_values_only)
    message = refused(model, identities(model, 1), errors.DerivativeNotCompiledError)
    assert message == (
        "compiled model 'model': the chain rule takes derivatives that were not compiled. "
        "Recompile the model with neml2-compile -d stress:strain beside the present pairs, or "
        "with -d : for all."
    )


def test_derivatives_of_all_outputs_by_the_moving_inputs_are_needed() -> None:
    model = compiled_leaf(compiled_feature("perzyna", "gmres_schema12"))  # has stress:strain
    v = {"strain": {"seed": identity(SR2, 1)}, "t": {}}
    assert (
        "neml2-compile -d plastic_strain:strain beside the present pairs"
        in refused(model, v, errors.DerivativeNotCompiledError)
    )  # fmt: skip


def test_sub_batched_input_is_refused() -> None:
    model = compiled_leaf(compiled_feature("sites", "default"))
    (sites,) = model.input_sub_batch["strain"]
    strain = SR2(torch.zeros(2, sites, 6), sub_batch_ndim=1)
    with pytest.raises(NotImplementedError) as caught:
        model(strain, v={"strain": {"seed": SR2(torch.zeros(2, sites, 6), sub_batch_ndim=1)}})
    assert str(caught.value) == (
        "compiled model 'model': tangent 'seed' of input 'strain' is sub-batched, and there is no "
        "chain rule through the sub-batched variables of a compiled model. Use the native model "
        "there."
    )
    _, v_out = model(strain, v={"strain": {}})
    assert v_out == {}


@pytest.mark.parametrize(
    "made",
    [
        lambda: SR2(torch.zeros(4, 2, 6), sub_batch_ndim=1),
        lambda: SR2(torch.zeros(1, 4, 6), k_ndim=1, k_state=("broadcast",), k_pairing=(None,)),
    ],
    ids=["sub_batch_axis", "broadcast_seed_axis"],
)
def test_sub_batched_tangent_is_refused(elastic: AOTIModel, made: Any) -> None:
    assert "sub-batched" in refused(elastic, {"strain": {"seed": made()}}, NotImplementedError)


def test_tangent_of_another_type(elastic: AOTIModel) -> None:
    message = refused(elastic, {"strain": {"seed": Vec(torch.zeros(4, 3))}}, TypeError)
    assert message == (
        "compiled model 'model': tangent 'seed' of input 'strain' is a Vec, expected a "
        "neml2.types.SR2, the type of the input, or a torch.Tensor without seed axes."
    )


def test_tangent_of_another_dtype(elastic: AOTIModel) -> None:
    seed = SR2(torch.zeros(4, 6, dtype=torch.float32))
    assert refused(elastic, {"strain": {"seed": seed}}, TypeError) == (
        "compiled model 'model': tangent 'seed' of input 'strain' is cpu/torch.float32, expected "
        "cpu/torch.float64, as the model. Convert it with .to()."
    )


def test_tangent_of_another_base_shape(elastic: AOTIModel) -> None:
    seed = tangent(SR2, torch.zeros(2, 4, 5))
    message = refused(elastic, {"strain": {"seed": seed}}, errors.InputError)
    assert message == (
        "compiled model 'model': tangent 'seed' of input 'strain' has the shape (2, 4, 5), "
        "expected (1 seed axes, *batch, 6)."
    )


def test_tangent_of_another_batch(elastic: AOTIModel) -> None:
    message = refused(elastic, {"strain": {"seed": torch.zeros(3, 6)}}, errors.InputError)
    assert message == (
        "compiled model 'model': tangent 'seed' of input 'strain' has the batch shape (3,), which "
        "does not broadcast with (4,), that of the call. Give it the batch of its input; seed "
        "axes come first and are counted by k_ndim."
    )


def test_tangents_of_one_seed_with_different_seed_axes(flow: AOTIModel) -> None:
    v = {
        "stress": {"seed": tangent(SR2, torch.zeros(2, 4, 6))},
        "temperature": {"seed": tangent(Scalar, torch.zeros(3, 4))},
    }
    assert refused(flow, v, errors.InputError) == (
        "compiled model 'flow': the tangents 'seed' have different seed axes: (2,) of 'stress', "
        "(3,) of 'temperature'. Tangents of one seed move together; name others apart."
    )


def test_tangent_of_what_is_no_input(elastic: AOTIModel) -> None:
    assert refused(elastic, {"stretch": {}}, errors.InputError) == (
        "compiled model 'model': v holds tangents of 'stretch'; expected inputs, which are "
        "'strain'. Remove what is no input."
    )


@pytest.mark.parametrize("v", [[], {"strain": torch.zeros(6)}])
def test_v_that_is_no_nested_dictionary(elastic: AOTIModel, v: Any) -> None:
    assert "Pass v as {input: {seed: tangent}}." in refused(elastic, v, TypeError)
