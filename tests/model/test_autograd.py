"""Gradients by torch's autograd: exact, complete, and refused where there are none."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_mode
from artifact_cache import compiled, compiled_feature
from cyclic_history import cycles, history
from features import MODULUS, YIELD_STRESS, increments, perzyna
from torch.autograd import gradcheck
from torch.func import grad, jacfwd, jacrev, vjp, vmap
from torch.utils.checkpoint import checkpoint
from twins import Tensors, Twin, double_precision, open_model, scaled_difference

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.errors import (
    DerivativeNotCompiledError,
    InputError,
    UnsupportedFeatureError,
)

# torch says so of its own forward mode, in another category from 2.15 on.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

HARD = 0.05
"""A strain increment that takes substeps."""
STRENGTH = "return_map.residual.yield_function.sy"
EXPANSION = "eigenstrain.alpha"


def solved_to_rounding(model: Model) -> Model:
    model.set_solver_config(1e-12, 1e-13, 100, "BACKTRACKING", 1, 2.0, 1e-3)
    return model


@cache
def promoted() -> Model:
    return solved_to_rounding(perzyna("promoted"))


def substepped() -> Model:
    """Too few updates for a full increment."""
    model = perzyna("substepped")
    model.set_solver_config(1e-12, 1e-12, 9, "BACKTRACKING", 1, 2.0, 1e-3, 1e-4)
    return model


def normalised(model: Model, inputs: Tensors, names: list[str]) -> tuple[Callable[..., Any], Any]:
    """The model as a function of order 1 of inputs of order 1, as gradcheck needs it."""
    scales = {name: inputs[name].abs().max() for name in names}
    sizes = {name: value.abs().max() + 1e-12 for name, value in model.forward(inputs).items()}

    def function(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = {n: v * scales[n] for n, v in zip(names, values, strict=True)}
        return tuple(v / sizes[n] for n, v in model.forward(inputs | given).items())

    return function, tuple((inputs[n] / scales[n]).requires_grad_() for n in names)


def check(function: Callable[..., Any], values: Any, *, with_forward_mode: bool = True) -> None:
    assert gradcheck(
        function, values, eps=1e-5, atol=1e-5, rtol=1e-4, check_forward_ad=with_forward_mode
    )


# --- exact


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)], ids=str)
def test_gradients_of_a_forward_model_are_exact(
    twin_of: Callable[[str], Twin], batch: tuple[int, ...]
) -> None:
    twin = twin_of("elasticity")
    check(*normalised(twin.model, twin.inputs(*batch), ["strain"]))


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)], ids=str)
def test_gradients_of_an_implicit_model_are_exact(batch: tuple[int, ...]) -> None:
    model, inputs = promoted(), increments(*batch)
    check(*normalised(model, inputs, ["strain", "strain~1", "plastic_strain~1", "t", "t~1"]))


def test_gradients_of_a_composed_model_are_exact(twin_of: Callable[[str], Twin]) -> None:
    twin = twin_of("composed")
    model = solved_to_rounding(Model(twin.case.root))
    inputs = twin.inputs(2)
    check(*normalised(model, inputs, ["displacement_gradient", "temperature"]))


def test_gradients_of_a_sub_batched_model_are_exact() -> None:
    model = Model(compiled_feature("sites", "default").root)
    strain = torch.rand(2, 5, 6, dtype=torch.float64)
    check(*normalised(model, {"strain": strain}, ["strain"]))


def test_gradients_through_substeps_are_exact() -> None:
    model, inputs = substepped(), increments(3, strain=HARD)
    solves: list[Any] = []
    model.forward(inputs, None, solves)
    assert solves[0].substeps.max() > 1
    check(*normalised(model, inputs, ["strain", "strain~1", "plastic_strain~1", "t"]))


@pytest.mark.parametrize("shape", [(), (3,), (2, 1)], ids=str)
@pytest.mark.parametrize("make", [promoted, substepped], ids=lambda make: make.__name__)
def test_gradients_by_parameters_are_exact(
    make: Callable[[], Model], shape: tuple[int, ...]
) -> None:
    model = make()
    inputs = increments(3, strain=HARD if make is substepped else 2e-3)
    stored = {name: value.clone() for name, value in model.named_parameters().items()}
    size = model.forward(inputs)["stress"].abs().max()

    def stress(modulus: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        overrides = {
            MODULUS: modulus * stored[MODULUS],
            YIELD_STRESS: strength * stored[YIELD_STRESS],
        }
        return model.forward(inputs, overrides)["stress"] / size

    def by_strength(strength: torch.Tensor) -> torch.Tensor:
        overrides = {YIELD_STRESS: strength * stored[YIELD_STRESS]}
        return model.forward(inputs, overrides)["stress"] / size

    ones = [torch.ones(shape, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    # Of plastic_strain by the modulus nothing is known, which forward mode asks for at once.
    check(stress, tuple(ones), with_forward_mode=False)
    check(by_strength, tuple(ones[:1]))


@pytest.mark.parametrize("shape", [(), (3,)], ids=str)
def test_gradients_by_parameters_of_a_forward_model_are_exact(
    twin_of: Callable[[str], Twin], shape: tuple[int, ...]
) -> None:
    model = Model(compiled("elasticity", variant="promoted").root)
    inputs = twin_of("elasticity").inputs(3)
    ((name, stored),) = model.named_parameters().items()
    size = model.forward(inputs)["stress"].abs().max()

    def stress(modulus: torch.Tensor) -> torch.Tensor:
        return model.forward(inputs, {name: modulus * stored})["stress"] / size

    check(stress, (torch.ones(shape, dtype=torch.float64, requires_grad=True),))


@pytest.mark.parametrize("shape", [(), (2,)], ids=str)
def test_gradients_by_parameters_of_a_composed_model_are_exact(
    twin_of: Callable[[str], Twin], shape: tuple[int, ...]
) -> None:
    model = solved_to_rounding(Model(compiled("composed", variant="promoted").root))
    inputs = twin_of("composed").inputs(2)
    stored = {name: value.clone() for name, value in model.named_parameters().items()}
    size = model.forward(inputs)["stress"].abs().max()

    def stress(expansion: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        overrides = {
            EXPANSION: expansion * stored[EXPANSION],
            STRENGTH: strength * stored[STRENGTH],
        }
        return model.forward(inputs, overrides)["stress"] / size

    ones = tuple(torch.ones(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    check(stress, ones, with_forward_mode=False)


def test_reverse_mode_is_the_transpose_of_the_blocks(differentiable: Twin) -> None:
    model, inputs = differentiable.model, differentiable.inputs(5)
    leaves = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    outputs = model.forward(leaves)
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(value.shape, dtype=torch.float64, generator=generator)
        / value.detach().abs().max()
        for name, value in outputs.items()
    }
    sum((weights[name] * value).sum() for name, value in outputs.items()).backward()  # type: ignore[union-attr]
    _, blocks = model.jacobian(inputs)
    for name, leaf in leaves.items():
        tail = inputs[name].ndim - 1
        expected = torch.zeros_like(leaf)
        for output, row in blocks.items():
            width = outputs[output][0].numel()
            last = row[name].shape[row[name].ndim - tail - outputs[output].ndim + 1 :]
            flat = row[name].expand(5, *last).reshape(5, width, -1)
            expected += (weights[output].reshape(5, 1, width) @ flat).reshape(leaf.shape)
        assert leaf.grad is not None
        scale = expected.abs().max().item() or 1.0
        assert (leaf.grad - expected).abs().max().item() < 1e-8 * scale, name


def test_gradients_do_not_depend_on_chunks_and_threads() -> None:
    model, inputs = perzyna("promoted"), increments(300)
    found = []
    for chunk_rows, threads in ((300, 1), (7, 1), (16, 5)):
        model.set_execution(chunk_rows=chunk_rows, threads=threads)
        strain = inputs["strain"].clone().requires_grad_()
        strength = torch.full((300,), 100.0, dtype=torch.float64, requires_grad=True)
        stress = model.forward(inputs | {"strain": strain}, {YIELD_STRESS: strength})["stress"]
        found.append(torch.autograd.grad(stress.square().sum(), (strain, strength)))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_a_broadcast_input_gathers_the_gradients_of_its_rows() -> None:
    model, inputs = promoted(), increments(4)
    shared = inputs["strain"][0].clone().requires_grad_()
    model.forward(inputs | {"strain": shared})["stress"].square().sum().backward()
    rows = shared.detach().expand(4, 6).clone().requires_grad_()
    model.forward(inputs | {"strain": rows})["stress"].square().sum().backward()
    assert shared.grad is not None
    assert rows.grad is not None
    assert shared.grad.shape == (6,)
    assert scaled_difference(shared.grad, rows.grad.sum(0)) < 1e-14


def test_an_empty_batch_has_empty_gradients() -> None:
    strain = torch.zeros(0, 6, dtype=torch.float64, requires_grad=True)
    promoted().forward(increments(0) | {"strain": strain})["stress"].sum().backward()
    assert strain.grad is not None
    assert strain.grad.shape == (0, 6)


def test_a_guess_has_no_gradient() -> None:
    """The solution does not depend on it."""
    model = Model(compiled_feature("two_updates", "schema3").metadata)
    load = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    guess = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    root = model.forward({"load": load, "root": guess, "next": guess})["root"]
    root.sum().backward()
    assert load.grad is not None
    torch.testing.assert_close(load.grad, 1.0 / (1.0 + 2.0 * root.detach()))
    assert guess.grad is not None
    assert guess.grad.abs().max() == 0.0


# --- what is recorded, and when


def test_outputs_require_grad_only_where_something_does() -> None:
    model, inputs = promoted(), increments(2)
    assert not model.forward(inputs)["stress"].requires_grad
    tracked = inputs | {"strain": inputs["strain"].clone().requires_grad_()}
    assert model.forward(tracked)["stress"].requires_grad
    with torch.no_grad():
        assert not model.forward(tracked)["stress"].requires_grad
    with torch.inference_mode():
        assert model.forward(tracked)["stress"].is_inference()
    assert torch.equal(model.forward(tracked)["stress"], model.forward(inputs)["stress"])


def test_hooks_see_the_gradients_of_outputs() -> None:
    model, inputs = promoted(), increments(2)
    strain = inputs["strain"].clone().requires_grad_()
    stress = model.forward(inputs | {"strain": strain})["stress"]
    seen: list[torch.Tensor] = []
    stress.register_hook(seen.append)
    (2.0 * stress).sum().backward()
    assert torch.equal(seen[0], torch.full_like(stress, 2.0))


def test_a_value_changed_in_place_before_backward_is_told() -> None:
    model, inputs = promoted(), increments(2)
    strain = inputs["strain"].clone().requires_grad_()
    stress = model.forward(inputs | {"strain": strain})["stress"]
    inputs["plastic_strain~1"].add_(1e-3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        stress.sum().backward()


def test_a_graph_is_kept_where_it_is_wanted() -> None:
    model, inputs = promoted(), increments(2)
    strain = inputs["strain"].clone().requires_grad_()
    stress = model.forward(inputs | {"strain": strain})["stress"].sum()
    (first,) = torch.autograd.grad(stress, strain, retain_graph=True)
    (second,) = torch.autograd.grad(stress, strain)
    assert torch.equal(first, second)
    with pytest.raises(RuntimeError, match="a second time"):
        torch.autograd.grad(stress, strain)


def test_solves_are_recorded_once() -> None:
    inputs = increments(2)
    strain = inputs["strain"].clone().requires_grad_()
    solves: list[Any] = []
    stress = promoted().forward(inputs | {"strain": strain}, None, solves)["stress"]
    stress.sum().backward()
    assert len(solves) == 1


def test_wrong_inputs_are_refused_as_without_gradients() -> None:
    strain = torch.zeros(3, 6, dtype=torch.float64, requires_grad=True)
    with pytest.raises(InputError, match="input 'plastic_strain~1' is missing"):
        promoted().forward({"strain": strain})
    with pytest.raises(InputError, match="no promoted parameter 'nobody'"):
        promoted().forward(increments(3) | {"strain": strain}, {"nobody": strain})


# --- what an artifact does not carry


def test_a_pair_that_was_not_compiled_is_refused_in_reverse_mode() -> None:
    model, inputs = promoted(), increments(2)
    modulus = torch.tensor(2e5, dtype=torch.float64, requires_grad=True)
    outputs = model.forward(inputs, {MODULUS: modulus})
    with pytest.raises(
        DerivativeNotCompiledError,
        match=f"neml2-compile --parameter {MODULUS} -d plastic_strain:{MODULUS}",
    ):
        outputs["plastic_strain"].sum().backward()


def test_a_pair_that_was_not_compiled_is_refused_in_forward_mode() -> None:
    model, inputs = promoted(), increments(2)
    modulus = torch.tensor(2e5, dtype=torch.float64)
    with (
        forward_mode.dual_level(),
        pytest.raises(DerivativeNotCompiledError, match=f"-d plastic_strain:{MODULUS}"),
    ):
        model.forward(inputs, {MODULUS: forward_mode.make_dual(modulus, torch.ones_like(modulus))})


def test_an_artifact_without_derivatives_says_so_at_backward() -> None:
    model = Model(compiled("elasticity", variant="values_only").root)
    strain = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    stress = model.forward({"strain": strain})["stress"]
    with pytest.raises(DerivativeNotCompiledError, match="-d stress:strain"):
        stress.sum().backward()


def test_second_derivatives_are_refused() -> None:
    model, inputs = promoted(), increments(2)
    strain = inputs["strain"].clone().requires_grad_()
    stress = model.forward(inputs | {"strain": strain})["stress"]
    (first,) = torch.autograd.grad(stress.square().sum(), strain, create_graph=True)
    with pytest.raises(UnsupportedFeatureError, match="a second derivative of compiled model"):
        first.sum().backward()
    with pytest.raises(UnsupportedFeatureError, match="a second derivative of compiled model"):
        torch.func.hessian(
            lambda s: model.forward(inputs | {"strain": s})["stress"].square().sum()
        )(inputs["strain"])


def test_a_gradient_is_linear_in_what_it_was_pulled_back_from() -> None:
    """So J w comes out of two reverse passes, which is how the host computes it."""
    model, inputs = promoted(), increments(3)
    strain = inputs["strain"].clone().requires_grad_()
    stress = model.forward(inputs | {"strain": strain})["stress"]
    dummy = torch.zeros_like(stress, requires_grad=True)
    (pulled,) = torch.autograd.grad(stress, strain, dummy, create_graph=True)
    direction = torch.rand_like(strain)
    (pushed,) = torch.autograd.grad(pulled, dummy, direction)
    _, expected = model.jvp(inputs, {"strain": direction})
    assert scaled_difference(pushed, expected["stress"]) < 1e-12


# --- torch.func


def stress_of_strain(model: Model, inputs: Tensors) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda strain: model.forward(inputs | {"strain": strain})["stress"]


@pytest.mark.parametrize("transform", [jacrev, jacfwd], ids=lambda transform: transform.__name__)
def test_jacobians_of_torch_are_the_blocks(transform: Callable[..., Any]) -> None:
    model, inputs = promoted(), increments()
    found = transform(stress_of_strain(model, inputs))(inputs["strain"])
    _, blocks = model.jacobian(inputs)
    assert scaled_difference(found, blocks["stress"]["strain"]) < 1e-12


@pytest.mark.parametrize("axis", [0, 1])
def test_vmap_adds_a_batch_axis(axis: int) -> None:
    model, inputs = promoted(), increments(2)
    strains = inputs["strain"] * torch.linspace(0.5, 1.5, 4, dtype=torch.float64)[:, None, None]
    function = stress_of_strain(model, inputs)
    found = vmap(function, in_dims=axis, out_dims=axis)(strains.movedim(0, axis)).movedim(axis, 0)
    expected = torch.stack([function(strain) for strain in strains])
    assert torch.equal(found, expected)


def test_vmap_of_a_gradient_is_that_of_every_row() -> None:
    model, inputs = promoted(), increments()
    strains = increments(5)["strain"]

    def work(strain: torch.Tensor) -> torch.Tensor:
        return stress_of_strain(model, inputs)(strain).square().sum()

    found = vmap(grad(work))(strains)
    expected = torch.stack([grad(work)(strain) for strain in strains])
    assert scaled_difference(found, expected) < 1e-12


def test_vmap_takes_parameters_apart() -> None:
    model, inputs = promoted(), increments(2)
    strengths = torch.tensor([80.0, 100.0, 120.0], dtype=torch.float64)

    def stress(strength: torch.Tensor) -> torch.Tensor:
        return model.forward(inputs, {YIELD_STRESS: strength})["stress"]

    expected = torch.stack([stress(strength) for strength in strengths])
    assert torch.equal(vmap(stress)(strengths), expected)
    slope = vmap(grad(lambda s: stress(s).sum()))(strengths)
    step = 1e-3
    upper, lower = (vmap(stress)(strengths + s).sum((1, 2)) for s in (step, -step))
    assert scaled_difference(slope, (upper - lower) / (2 * step)) < 1e-6


def test_vjp_of_several_outputs_takes_all_cotangents() -> None:
    model, inputs = promoted(), increments(3)
    outputs, pull = vjp(lambda strain: model.forward(inputs | {"strain": strain}), inputs["strain"])
    weights = {name: torch.rand_like(value) for name, value in outputs.items()}
    (found,) = pull(weights)
    _, blocks = model.jacobian(inputs)
    expected = sum(
        (weights[name][:, None, :] @ blocks[name]["strain"]).squeeze(1) for name in outputs
    )
    assert isinstance(expected, torch.Tensor)
    assert scaled_difference(found, expected) < 1e-12


# --- parameters that learn


def test_trainable_parameters_are_bound_to_the_model() -> None:
    model, inputs = perzyna("promoted"), increments(3)
    before = model.forward(inputs)["stress"]
    parameters = model.trainable_parameters()
    assert list(parameters) == list(model.named_parameters())
    assert model.trainable_parameters(MODULUS)[MODULUS] is parameters[MODULUS]
    assert model.named_parameters()[MODULUS] is parameters[MODULUS]
    assert torch.equal(model.forward(inputs)["stress"], before)
    optimiser = torch.optim.SGD(list(parameters.values()), lr=1e-3)
    model.forward(inputs)["stress"].square().sum().backward()
    assert all(parameter.grad is not None for parameter in parameters.values())
    optimiser.step()
    assert not torch.equal(model.forward(inputs)["stress"], before)


def test_set_parameter_replaces_a_trainable_one() -> None:
    model = perzyna("promoted")
    old = model.trainable_parameters(MODULUS)[MODULUS]
    model.set_parameter(MODULUS, torch.tensor(1e5, dtype=torch.float64))
    assert not model.forward(increments(2))["stress"].requires_grad
    new = model.trainable_parameters(MODULUS)[MODULUS]
    assert new is not old
    assert new.item() == 1e5


def test_unknown_trainable_parameters_are_refused() -> None:
    with pytest.raises(InputError, match="no promoted parameter 'nobody'; this artifact has: "):
        promoted().trainable_parameters("nobody")


def test_gradients_flow_to_what_a_parameter_was_computed_from() -> None:
    model, inputs = perzyna("promoted"), increments(3)
    exponent = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    model.set_parameter(YIELD_STRESS, 10.0**exponent)
    model.forward(inputs)["stress"].sum().backward()
    step = 1e-5

    def total(value: float) -> float:
        model.set_parameter(YIELD_STRESS, torch.tensor(10.0**value, dtype=torch.float64))
        return model.forward(inputs)["stress"].sum().item()

    difference = (total(2.0 + step) - total(2.0 - step)) / (2 * step)
    assert exponent.grad is not None
    assert exponent.grad.item() == pytest.approx(difference, rel=1e-6)


# --- histories


PROMOTED_OF_CHABOCHE = ("residual.X1_evolution.C", "residual.yield_function.sy")


def test_the_gradient_of_fifty_steps_is_that_of_the_native_model(
    twin_of: Callable[[str], Twin],
) -> None:
    twin = twin_of("chaboche")
    model = open_model(compiled("chaboche", variant="promoted"))
    strains, times = cycles(steps=50, rows=3)
    ours = strains.clone().requires_grad_()
    parameters = model.trainable_parameters()
    history(model.forward, ours, times).backward()

    native = twin.native

    def advance(inputs: Tensors) -> Tensors:
        arguments = [wrapper(inputs[name]) for name, wrapper in native.input_spec.items()]
        return {
            name: value.data
            for name, value in zip(native.output_spec, native(*arguments), strict=True)
        }

    theirs = strains.clone().requires_grad_()
    with double_precision():
        history(advance, theirs, times).backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert scaled_difference(ours.grad, theirs.grad) < 1e-8
    expected = dict(native.named_parameters())
    for name in PROMOTED_OF_CHABOCHE:
        slope = parameters[name].grad
        assert slope is not None
        assert slope.item() == pytest.approx(expected[name].grad.item(), rel=1e-8), name
    native.zero_grad()


@pytest.mark.parametrize("manner", ["recompute", "checkpoint"])
def test_memory_can_be_traded_for_recomputation(
    twin_of: Callable[[str], Twin], manner: str
) -> None:
    model = Model(twin_of("chaboche").case.root)
    strains, times = cycles(steps=6, rows=2)

    def gradient(advance: Callable[[Tensors], Tensors]) -> torch.Tensor:
        leaf = strains.clone().requires_grad_()
        (found,) = torch.autograd.grad(history(advance, leaf, times), leaf)
        return found

    expected = gradient(model.forward)
    if manner == "recompute":
        model.set_autograd(recompute=True)
        found = gradient(model.forward)
    else:
        found = gradient(lambda inputs: checkpoint(model.forward, inputs, use_reentrant=False))
    assert scaled_difference(found, expected) < 1e-10


# --- torch.compile


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_torch_compile_takes_a_call_as_one_operator(backend: str) -> None:
    model, inputs = perzyna("promoted"), increments(4)
    parameters = model.trainable_parameters()

    def work(strain: torch.Tensor) -> torch.Tensor:
        return (2.0 * model.forward(inputs | {"strain": strain})["stress"]).square().sum()

    def gradients(function: Callable[[torch.Tensor], torch.Tensor]) -> list[torch.Tensor]:
        strain = inputs["strain"].clone().requires_grad_()
        value = function(strain)
        return [value.detach(), *torch.autograd.grad(value, [strain, *parameters.values()])]

    traced = torch.compile(work, backend=backend, fullgraph=True)
    for found, expected in zip(gradients(traced), gradients(work), strict=True):
        assert scaled_difference(found, expected) < 1e-14
    torch._dynamo.reset()


def test_a_traced_function_does_not_lose_the_gradient_of_a_parameter() -> None:
    model, inputs = perzyna("promoted"), increments(2)
    model.named_parameters()[MODULUS].requires_grad_()
    traced = torch.compile(lambda: model.forward(inputs)["stress"], backend="eager")
    with pytest.raises(UnsupportedFeatureError, match="Get it from trainable_parameters"):
        traced()
    torch._dynamo.reset()
