"""What comes back: fresh, contiguous tensors in declared order, at the shapes that are promised."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from twins import Tensors, Twin, scaled_difference

from neml2_aoti_plugin import Model


def every_result(twin: Twin, inputs: Tensors) -> Iterator[torch.Tensor]:
    """All tensors that all operations return for these inputs."""
    model = twin.model
    yield from model.forward(inputs).values()
    yield from model.forward_natural(inputs).values()
    if not twin.case.derivatives:
        return
    for results in model.jvp(inputs, inputs):
        yield from results.values()
    outputs, blocks = model.jacobian(inputs)
    yield from outputs.values()
    for row in blocks.values():
        yield from row.values()


def address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@pytest.mark.parametrize("batch", [(), (1,), (3,)], ids=str)
def test_no_result_shares_memory(twin: Twin, batch: tuple[int, ...]) -> None:
    inputs = twin.inputs(*batch)
    # All stay alive, so that equal addresses mean shared memory.
    results = [*every_result(twin, inputs), *every_result(twin, inputs)]
    taken = {address(value) for value in inputs.values()}
    for result in results:
        assert address(result) not in taken
        taken.add(address(result))


def test_no_result_shares_memory_with_a_parameter(elasticity_promoted) -> None:
    model = Model(elasticity_promoted.root)
    slot = model.named_parameters()["model.E"]
    value = torch.tensor([1e5, 2e5], dtype=torch.float64)
    strain = torch.full((2, 6), 1e-3, dtype=torch.float64)
    for set_it in (lambda: None, lambda: model.set_parameter("model.E", value)):
        set_it()
        outputs, blocks = model.jacobian({"strain": strain})
        for result in (outputs["stress"], blocks["stress"]["strain"]):
            assert address(result) not in {address(slot), address(value), address(strain)}


def test_results_survive_the_next_call(twin: Twin) -> None:
    results = list(every_result(twin, twin.inputs(2)))
    kept = [result.clone() for result in results]
    list(every_result(twin, twin.inputs(2, seed=1)))
    assert all(torch.equal(a, b) for a, b in zip(results, kept, strict=True))


def test_results_may_be_overwritten_without_harm(twin: Twin) -> None:
    inputs = twin.inputs(2)
    kept = {name: value.clone() for name, value in inputs.items()}
    expected = [result.clone() for result in every_result(twin, inputs)]
    for result in every_result(twin, inputs):
        result.fill_(torch.nan)
    assert all(torch.equal(inputs[name], value) for name, value in kept.items())
    again = every_result(twin, inputs)
    assert all(torch.equal(a, b) for a, b in zip(again, expected, strict=True))


def test_results_are_contiguous_detached_and_of_the_model_dtype(twin: Twin) -> None:
    for result in every_result(twin, twin.inputs(2, 2)):
        assert result.is_contiguous()
        assert not result.requires_grad
        assert result.grad_fn is None
        assert result.dtype == twin.model.dtype == torch.float64
        assert result.device == torch.device("cpu")


def test_results_are_in_declared_order(differentiable: Twin) -> None:
    model = differentiable.model
    inputs = differentiable.inputs(2)
    assert list(model.forward(inputs)) == model.output_names
    assert list(model.forward_natural(inputs)) == model.output_names
    outputs, derivatives = model.jvp(inputs, inputs)
    assert list(outputs) == list(derivatives) == model.output_names
    outputs, blocks = model.jacobian(inputs)
    assert list(outputs) == list(blocks) == model.output_names
    for row in blocks.values():
        assert list(row) == [name for name in model.input_names if name in row]


def test_outputs_of_all_operations_agree(differentiable: Twin) -> None:
    model = differentiable.model
    inputs = differentiable.inputs(3)
    expected = model.forward(inputs)
    for found in (model.jvp(inputs, inputs)[0], model.jacobian(inputs)[0]):
        for name, value in expected.items():
            assert scaled_difference(found[name], value) < 1e-12, name


def test_natural_outputs_of_a_full_batch_are_the_outputs(twin: Twin) -> None:
    inputs = twin.inputs(2, 3)
    expected = twin.model.forward(inputs)
    for name, value in twin.model.forward_natural(inputs).items():
        assert torch.equal(value, expected[name])


def test_natural_outputs_have_the_batch_that_reaches_their_segment(twin_of) -> None:
    twin = twin_of("composed")
    inputs = {name: value[0] for name, value in twin.inputs(3).items()}
    inputs["plastic_strain~1"] = twin.inputs(3)["plastic_strain~1"]
    shapes = {name: value.shape for name, value in twin.model.forward_natural(inputs).items()}
    assert shapes == {
        "equivalent_plastic_strain": (3,),
        "von_mises_stress": (3,),
        "stress_trace": (3,),
        "eigenstrain": (6,),
        "plastic_strain": (3, 6),
        "stress": (3, 6),
    }


def test_natural_outputs_keep_an_axis_of_one(twin_of) -> None:
    twin = twin_of("composed")
    inputs = twin.inputs(3)
    for name in ("temperature", "displacement_gradient"):
        inputs[name] = inputs[name][:1]
    assert twin.model.forward_natural(inputs)["eigenstrain"].shape == (1, 6)
    assert twin.model.forward(inputs)["eigenstrain"].shape == (3, 6)


def elastic_step(twin: Twin) -> Tensors:
    """Three rows far below yield, from an unbatched state at rest, which is the solution."""
    inputs = {name: torch.zeros_like(value) for name, value in twin.inputs().items()}
    inputs["t"] = torch.tensor(1.0, dtype=torch.float64)
    inputs["strain"] = 1e-5 * torch.ones(3, 6, dtype=torch.float64)
    return inputs


def test_unknowns_accepted_at_an_unbatched_guess_are_unbatched(twin_of) -> None:
    twin = twin_of("rate_independent")
    inputs = elastic_step(twin)
    shapes = {name: value.shape for name, value in twin.model.forward_natural(inputs).items()}
    assert shapes == {
        "equivalent_plastic_strain": (),
        "flow_rate": (),
        "stress": (3, 6),
        "plastic_strain": (6,),
    }
    full = {name: value.shape for name, value in twin.model.forward(inputs).items()}
    assert full["plastic_strain"] == (3, 6)


def test_one_plastic_row_makes_all_unknowns_batched(twin_of) -> None:
    twin = twin_of("rate_independent")
    inputs = elastic_step(twin)
    inputs["strain"][1, 0] = 5e-3
    outputs = twin.model.forward_natural(inputs)
    assert outputs["plastic_strain"].shape == (3, 6)
    assert outputs["flow_rate"].shape == (3,)
    assert outputs["flow_rate"][1] > 0
    assert torch.equal(outputs["flow_rate"][[0, 2]], torch.zeros(2, dtype=torch.float64))
