"""The typed call of ``AOTIModel``: values, shapes and refusals; native models are the oracle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import neml2
import pytest
import torch
from artifact_cache import CompiledCase
from neml2.types import SR2, Scalar, Vec

from neml2_aoti_plugin import AOTIModel, errors

NativeModel = Callable[[str], torch.nn.Module]

# Compiled kernels reorder sums; a solve ends somewhere below its tolerance of 1e-10 on residuals.
VALUE_TOLERANCE = {"rtol": 1e-10, "atol": 1e-12}
SOLVE_TOLERANCE = {"rtol": 1e-7, "atol": 1e-9}


@pytest.fixture(autouse=True)
def _seeded_double_precision(float64_default: None) -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        yield


@pytest.fixture(scope="module")
def elastic(elasticity: CompiledCase) -> AOTIModel:
    return AOTIModel(elasticity.root)


@pytest.fixture(scope="module")
def viscoplastic(chaboche: CompiledCase) -> AOTIModel:
    return AOTIModel(chaboche.root)


@pytest.fixture(scope="module")
def polycrystal(crystal: CompiledCase) -> AOTIModel:
    return AOTIModel(crystal.root)


def assert_same_as_native(
    model: AOTIModel, native: torch.nn.Module, values: dict[str, Any], tolerance: dict[str, float]
) -> None:
    """Names, types, sub-batch axes, batch shapes and values of all outputs."""
    assert list(model.input_spec) == list(native.input_spec)
    assert list(model.output_spec) == list(native.output_spec)
    arguments = [
        kind(values[name]) if isinstance(values[name], torch.Tensor) else values[name]
        for name, kind in model.input_spec.items()
    ]
    with torch.no_grad():
        expected = native(*arguments)
    expected = expected if isinstance(expected, tuple) else (expected,)
    actual = model(*arguments)
    assert isinstance(actual, tuple)
    for name, ours, theirs in zip(model.output_spec, actual, expected, strict=True):
        assert type(ours) is type(theirs) is model.output_spec[name]
        assert ours.sub_batch_ndim == theirs.sub_batch_ndim, name
        torch.testing.assert_close(ours.data, theirs.data, **tolerance)


def viscoplastic_values(model: AOTIModel, batch: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """A load step from rest: the strain is batched, time and history are not."""
    values = {name: torch.zeros(wrapper.BASE_SHAPE) for name, wrapper in model.input_spec.items()}
    values["strain"] = 2e-3 * torch.randn(*batch, 6)
    values["t"] = torch.tensor(10.0)
    return values


# --- values


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3), (0,), (2, 0)])
def test_forward_segment_equals_native(
    elastic: AOTIModel, native_model: NativeModel, batch: tuple[int, ...]
) -> None:
    values = {"strain": 1e-3 * torch.randn(*batch, 6)}
    assert_same_as_native(elastic, native_model("elasticity"), values, VALUE_TOLERANCE)


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 2)])
def test_solve_equals_native_for_unbatched_history(
    viscoplastic: AOTIModel, native_model: NativeModel, batch: tuple[int, ...]
) -> None:
    values = viscoplastic_values(viscoplastic, batch)
    assert_same_as_native(viscoplastic, native_model("chaboche"), values, SOLVE_TOLERANCE)


def test_batched_time_broadcasts_with_batched_strain(
    viscoplastic: AOTIModel, native_model: NativeModel
) -> None:
    values = viscoplastic_values(viscoplastic, (3, 1))
    values["t"] = torch.tensor([5.0, 50.0])
    assert_same_as_native(viscoplastic, native_model("chaboche"), values, SOLVE_TOLERANCE)


def test_every_row_equals_the_row_alone(viscoplastic: AOTIModel) -> None:
    values = viscoplastic_values(viscoplastic, (4,))
    together = viscoplastic(*values.values())
    for row in range(4):
        alone = viscoplastic(*(values | {"strain": values["strain"][row]}).values())
        for ours, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(ours.data[row], expected.data, **SOLVE_TOLERANCE)


def test_non_contiguous_input_equals_contiguous(elastic: AOTIModel) -> None:
    strain = torch.randn(6, 4).t()
    assert not strain.is_contiguous()
    (strided,) = elastic(SR2(strain))
    (packed,) = elastic(SR2(strain.contiguous()))
    torch.testing.assert_close(strided.data, packed.data, rtol=0, atol=0)


def test_plain_tensor_equals_wrapper(elastic: AOTIModel) -> None:
    strain = torch.randn(4, 6)
    (plain,) = elastic(strain)
    (wrapped,) = elastic(SR2(strain))
    torch.testing.assert_close(plain.data, wrapped.data, rtol=0, atol=0)


def test_single_output_comes_as_a_tuple_of_its_type(elastic: AOTIModel) -> None:
    outputs = elastic(SR2(torch.zeros(3, 6)))
    assert isinstance(outputs, tuple)
    assert [type(output) for output in outputs] == [SR2]


def test_output_of_unbatched_inputs_stays_unbatched(
    composed: CompiledCase, native_model: NativeModel
) -> None:
    model = AOTIModel(composed.root)
    values = {name: torch.zeros(kind.BASE_SHAPE) for name, kind in model.input_spec.items()}
    values["displacement_gradient"] = 3e-3 * torch.randn(3, 3)
    values["temperature"] = torch.tensor(340.0)
    values["t"] = torch.tensor(10.0)
    values["equivalent_plastic_strain~1"] = 1e-3 * torch.rand(5)
    assert_same_as_native(model, native_model("composed"), values, SOLVE_TOLERANCE)
    outputs = dict(zip(model.output_spec, model(*values.values()), strict=True))
    assert outputs["eigenstrain"].shape == (6,)
    assert outputs["stress"].shape == (5, 6)


def test_solve_that_converges_at_an_unbatched_guess_stays_unbatched(
    rate_independent: CompiledCase, native_model: NativeModel
) -> None:
    model = AOTIModel(rate_independent.root)
    values = {name: torch.zeros(kind.BASE_SHAPE) for name, kind in model.input_spec.items()}
    values["strain"] = 1e-5 * torch.randn(3, 6)  # far below yield
    values["t"] = torch.tensor(1.0)
    assert_same_as_native(model, native_model("rate_independent"), values, SOLVE_TOLERANCE)
    outputs = dict(zip(model.output_spec, model(*values.values()), strict=True))
    assert outputs["plastic_strain"].shape == (6,)
    assert outputs["stress"].shape == (3, 6)


# --- sub-batches


def polycrystal_arguments(model: AOTIModel, batch: tuple[int, ...]) -> dict[str, Any]:
    """A load step of four grains from given orientations."""
    arguments = {}
    for name, kind in model.input_spec.items():
        sub_batch = model.input_sub_batch[name]
        tensor = torch.zeros((*sub_batch, *kind.BASE_SHAPE))
        if name.startswith("orientation"):
            tensor = 0.2 * torch.rand((*sub_batch, *kind.BASE_SHAPE))
        elif name == "deformation_rate":
            tensor = 1e-3 * torch.randn(*batch, *kind.BASE_SHAPE)
        elif name == "t":
            tensor = torch.tensor(1.0)
        arguments[name] = kind(tensor, sub_batch_ndim=len(sub_batch))
    return arguments


def test_sub_batch_shapes_are_those_of_the_artifact(polycrystal: AOTIModel) -> None:
    assert polycrystal.input_sub_batch["orientation~1"] == (4,)
    assert polycrystal.input_sub_batch["deformation_rate"] == ()
    assert set(polycrystal.input_labels.values()) == {()}
    assert list(polycrystal.output_labels) == list(polycrystal.output_spec)


@pytest.mark.parametrize("batch", [(), (2,), (4,)])
def test_sub_batched_solve_equals_native(
    polycrystal: AOTIModel, native_model: NativeModel, batch: tuple[int, ...]
) -> None:
    arguments = polycrystal_arguments(polycrystal, batch)
    assert_same_as_native(polycrystal, native_model("crystal"), arguments, SOLVE_TOLERANCE)


def test_plain_sub_batched_tensors_equal_wrappers(polycrystal: AOTIModel) -> None:
    arguments = polycrystal_arguments(polycrystal, (2,))
    wrapped = polycrystal(*arguments.values())
    plain = polycrystal(*(argument.data for argument in arguments.values()))
    for ours, expected in zip(plain, wrapped, strict=True):
        assert ours.sub_batch_ndim == expected.sub_batch_ndim
        torch.testing.assert_close(ours.data, expected.data, rtol=0, atol=0)


def test_sub_batched_outputs_serve_as_history_for_ten_steps(
    polycrystal: AOTIModel, native_model: NativeModel
) -> None:
    native = native_model("crystal")
    histories = [crystal_history(model, polycrystal, steps=10) for model in (polycrystal, native)]
    for ours, theirs in zip(*histories, strict=True):
        for name, value in theirs.items():
            assert ours[name].sub_batch_ndim == value.sub_batch_ndim, name
            torch.testing.assert_close(ours[name].data, value.data, **SOLVE_TOLERANCE)


def crystal_history(
    model: torch.nn.Module, polycrystal: AOTIModel, steps: int
) -> list[dict[str, Any]]:
    """Outputs of every step of a constant deformation of two points, fed back as they came."""
    torch.manual_seed(5)
    state = polycrystal_arguments(polycrystal, (2,))
    kind = polycrystal.input_spec["t"]
    history = []
    for step in range(1, steps + 1):
        times = {"t": kind(torch.tensor(float(step))), "t~1": kind(torch.tensor(step - 1.0))}
        state |= {name: value for name, value in times.items() if name in state}
        with torch.no_grad():
            outputs = dict(zip(model.output_spec, _as_tuple(model(*state.values())), strict=True))
        history.append(outputs)
        for name, value in outputs.items():
            state |= {alias: value for alias in (name, f"{name}~1") if alias in state}
    return history


def test_broadcast_sub_batch_is_materialised(polycrystal: AOTIModel) -> None:
    arguments = polycrystal_arguments(polycrystal, ())
    kind = polycrystal.input_spec["orientation~1"]
    one_grain = 0.1 * torch.rand(1, 3)
    broadcast = kind(
        one_grain, sub_batch_ndim=1, sub_batch_state=("broadcast",), sub_batch_meta=(4,)
    )
    repeated = kind(one_grain.repeat(4, 1), sub_batch_ndim=1)
    actual = polycrystal(*(arguments | {"orientation~1": broadcast}).values())
    expected = polycrystal(*(arguments | {"orientation~1": repeated}).values())
    for ours, theirs in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours.data, theirs.data, rtol=0, atol=0)


def test_missing_sub_batch_axes_are_named(polycrystal: AOTIModel) -> None:
    arguments = polycrystal_arguments(polycrystal, ())
    kind = polycrystal.input_spec["orientation~1"]
    arguments["orientation~1"] = kind(torch.zeros(2, 4, 3))
    with pytest.raises(errors.InputError) as caught:
        polycrystal(*arguments.values())
    assert str(caught.value) == (
        "compiled model 'model': input 'orientation~1' has 0 sub-batch axes and the shape "
        f"(2, 4, 3), expected 1 and (*batch, 4, 3). Pass {kind.__name__}(tensor, sub_batch_ndim=1)."
    )


# --- storage


def test_later_calls_leave_earlier_outputs_and_inputs_alone(viscoplastic: AOTIModel) -> None:
    values = viscoplastic_values(viscoplastic, (3,))
    inputs_before = {name: value.clone() for name, value in values.items()}
    first = viscoplastic(*values.values())
    first_before = [output.data.clone() for output in first]
    viscoplastic(*viscoplastic_values(viscoplastic, (3,)).values())
    for output, before in zip(first, first_before, strict=True):
        assert torch.equal(output.data, before)
    for name, before in inputs_before.items():
        assert torch.equal(values[name], before)


def test_threads_may_share_a_model(viscoplastic: AOTIModel) -> None:
    cases = [viscoplastic_values(viscoplastic, (2,)) for _ in range(4)]
    expected = [viscoplastic(*values.values()) for values in cases]
    actual: dict[int, Any] = {}

    def call(index: int) -> None:
        for _ in range(3):
            actual[index] = viscoplastic(*cases[index].values())

    threads = [threading.Thread(target=call, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, outputs in enumerate(expected):
        for ours, theirs in zip(actual[index], outputs, strict=True):
            torch.testing.assert_close(ours.data, theirs.data, rtol=0, atol=0)


# --- calls by name, composition


def test_call_by_name_picks_its_inputs(elastic: AOTIModel) -> None:
    strain = torch.randn(4, 6)
    (expected,) = elastic(SR2(strain))
    outputs = elastic.call_by_name({"t": Scalar(torch.tensor(0.0)), "strain": strain})
    assert list(outputs) == ["stress"]
    torch.testing.assert_close(outputs["stress"].data, expected.data, rtol=0, atol=0)


def test_call_by_name_names_what_is_missing(elastic: AOTIModel) -> None:
    with pytest.raises(errors.InputError) as caught:
        elastic.call_by_name({"t": Scalar(torch.tensor(0.0))})
    assert str(caught.value) == (
        "compiled model 'model': call_by_name() lacks 'strain'; it was given 't'. Pass a value for "
        "every name in input_spec."
    )


def test_compiled_model_composes_with_a_native_one(elasticity: CompiledCase) -> None:
    text = f"""
    [Models]
      [elasticity]
        type = AOTIModel
        artifact_path = '{elasticity.root}'
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
    factory = neml2.factory.load_string(text)
    model = factory.get_model("model")
    assert list(model.input_spec) == ["strain"]
    strain = SR2(1e-3 * torch.randn(4, 6))
    with torch.no_grad():
        (von_mises,) = _as_tuple(model(strain))
        (stress,) = factory.get_model("elasticity")(strain)
        (expected,) = _as_tuple(factory.get_model("von_mises")(stress))
    torch.testing.assert_close(von_mises.data, expected.data, **VALUE_TOLERANCE)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


# --- refusals


def test_wrong_number_of_inputs(viscoplastic: AOTIModel) -> None:
    names = ", ".join(f"'{name}'" for name in viscoplastic.input_spec)
    with pytest.raises(TypeError) as caught:
        viscoplastic(torch.zeros(6))
    assert str(caught.value) == (
        "compiled model 'model': 1 inputs were passed, expected "
        f"{len(viscoplastic.input_spec)} in this order: {names}."
    )


@pytest.mark.parametrize(
    ("value", "found"), [(3.0, "float"), (Vec(torch.zeros(3)), "Vec"), (None, "NoneType")]
)
def test_value_of_wrong_type(elastic: AOTIModel, value: object, found: str) -> None:
    with pytest.raises(TypeError) as caught:
        elastic(value)
    assert str(caught.value) == (
        f"compiled model 'model': input 'strain' is a {found}, expected a neml2.types.SR2 or a "
        "torch.Tensor. Wrap the tensor as SR2(tensor)."
    )


def test_tangent_as_value(elastic: AOTIModel) -> None:
    tangent = SR2(torch.zeros(6, 4, 6), k_ndim=1, k_state=("full",), k_pairing=(None,))
    with pytest.raises(errors.InputError) as caught:
        elastic(tangent)
    assert str(caught.value) == (
        "compiled model 'model': input 'strain' is a tangent with 1 seed axes, expected a value. "
        "Pass the value alone; derivatives come from jvp() and jacobian()."
    )


def test_other_dtype_names_input_and_both_sides(elastic: AOTIModel) -> None:
    with pytest.raises(TypeError) as caught:
        elastic(SR2(torch.zeros(4, 6, dtype=torch.float32)))
    for word in ("strain", "float32", "float64"):
        assert word in str(caught.value)


@pytest.mark.cuda
def test_other_device_names_input_and_both_sides(elastic: AOTIModel) -> None:
    with pytest.raises(TypeError) as caught:
        elastic(SR2(torch.zeros(4, 6, device="cuda")))
    for word in ("strain", "cuda", "cpu"):
        assert word in str(caught.value)


def test_device_without_values_names_input_and_device(elastic: AOTIModel) -> None:
    with pytest.raises(TypeError) as caught:
        elastic(SR2(torch.zeros(4, 6, device="meta")))
    for word in ("strain", "meta"):
        assert word in str(caught.value)


def test_wrong_base_shape_names_input_and_both_sides(elastic: AOTIModel) -> None:
    with pytest.raises(RuntimeError) as caught:
        elastic(torch.zeros(4, 5))
    for word in ("strain", "5", "6"):
        assert word in str(caught.value)


@pytest.mark.parametrize("argument", ["v", "v2", "vh"])
def test_chain_rule_is_refused_unless_asked_for(elastic: AOTIModel, argument: str) -> None:
    with pytest.raises(NotImplementedError) as caught:
        elastic(SR2(torch.zeros(6)), **{argument: {"strain": {}}})
    assert str(caught.value) == (
        f"compiled model 'model': the call was given '{argument}', but the model was opened "
        "without the chain rule of native models. Set chain_rule = true in its block, or open it "
        "with AOTIModel(path, chain_rule=True), for 'v'; or use its jvp() or jacobian()."
    )


def test_gradients_reach_typed_inputs(elastic: AOTIModel) -> None:
    strain = torch.randn(4, 6, dtype=elastic.dtype, requires_grad=True)
    (stress,) = elastic(SR2(strain))
    weights = torch.randn(4, 6, dtype=elastic.dtype)
    (found,) = torch.autograd.grad(stress.data, strain, weights)
    _, blocks = elastic.jacobian({"strain": strain.detach()})
    expected = (weights[:, None] @ blocks["stress"]["strain"]).squeeze(1)
    torch.testing.assert_close(found, expected)


def test_input_that_requires_grad_passes_where_no_gradients_are_recorded(
    elastic: AOTIModel,
) -> None:
    strain = torch.randn(4, 6, requires_grad=True)
    with torch.no_grad():
        (stress,) = elastic(SR2(strain))
    (expected,) = elastic(SR2(strain.detach()))
    assert not stress.data.requires_grad
    torch.testing.assert_close(stress.data, expected.data, rtol=0, atol=0)


def test_parameters_can_be_trained(elasticity_promoted: CompiledCase) -> None:
    model = AOTIModel(elasticity_promoted.root)
    ((name, modulus),) = model.trainable_parameters().items()
    strain = torch.randn(3, 6, dtype=model.dtype)
    target = 2.0 * model(SR2(strain))[0].data.detach()
    assert [parameter is modulus for parameter in model.parameters()] == [True]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5 * (modulus / target.norm()).item() ** 2)
    for _ in range(60):
        optimiser.zero_grad()
        (model(SR2(strain))[0].data - target).square().sum().backward()
        optimiser.step()
    torch.testing.assert_close(
        model.named_parameters()[name].detach(), torch.tensor(4.0e5).double()
    )
