"""Promoted parameters: live, checked, batched, and seen by values and derivatives alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from twins import scaled_difference

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.errors import InputError, InputTypeError

E = "model.E"
REFERENCE = 2.0e5
"""MPa; the value in the input file."""

STRAIN = torch.linspace(-1e-3, 2e-3, 24, dtype=torch.float64).reshape(4, 6)


@pytest.fixture
def model(elasticity_promoted) -> Model:
    return Model(elasticity_promoted.root)


@pytest.fixture(scope="module")
def stress(elasticity) -> torch.Tensor:
    """At the reference value, by the model where it is a constant; linear in it."""
    return Model(elasticity.root).forward({"strain": STRAIN})["stress"]


def tensor(value: Any) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def stress_of(model: Model, strain: torch.Tensor = STRAIN) -> torch.Tensor:
    return model.forward({"strain": strain})["stress"]


def test_parameters_start_at_the_values_of_the_input_file(
    model: Model, stress: torch.Tensor
) -> None:
    assert model.parameter_base_shapes == {E: []}
    parameters = model.named_parameters()
    assert list(parameters) == [E]
    assert torch.equal(parameters[E], tensor(REFERENCE))
    assert not parameters[E].requires_grad
    assert scaled_difference(stress_of(model), stress) < 1e-14


def test_a_promoted_parameter_is_no_input(model: Model) -> None:
    assert model.input_names == ["strain"]
    assert list(model.jacobian({"strain": STRAIN})[1]["stress"]) == ["strain"]


def test_a_model_without_promoted_parameters_has_none(elasticity) -> None:
    model = Model(elasticity.root)
    assert model.named_parameters() == {}
    assert model.parameter_base_shapes == {}
    with pytest.raises(InputError) as caught:
        model.set_parameter(E, tensor(1.0))
    assert str(caught.value) == (
        "no promoted parameter 'model.E'; this artifact has: none (compile with neml2-compile "
        "--parameter NAME to promote one)"
    )


def test_changes_in_place_count_from_the_next_call_on(model: Model, stress: torch.Tensor) -> None:
    stress_of(model)
    model.named_parameters()[E].fill_(REFERENCE / 2)
    assert scaled_difference(stress_of(model), stress / 2) < 1e-14
    kept = model.named_parameters()[E]
    kept.mul_(4)
    assert scaled_difference(stress_of(model), 2 * stress) < 1e-14


def test_changes_in_place_reach_derivatives(model: Model) -> None:
    _, before = model.jacobian({"strain": STRAIN})
    model.named_parameters()[E].mul_(3)
    _, after = model.jacobian({"strain": STRAIN})
    assert scaled_difference(after["stress"]["strain"], 3 * before["stress"]["strain"]) < 1e-14


def test_replacing_an_entry_of_the_dictionary_changes_nothing(
    model: Model, stress: torch.Tensor
) -> None:
    model.named_parameters()[E] = tensor(1.0)
    assert torch.equal(model.named_parameters()[E], tensor(REFERENCE))
    assert scaled_difference(stress_of(model), stress) < 1e-14


def test_set_parameter_replaces_the_value(model: Model, stress: torch.Tensor) -> None:
    assert model.set_parameter(E, tensor(2 * REFERENCE)) is None
    assert torch.equal(model.named_parameters()[E], tensor(2 * REFERENCE))
    assert scaled_difference(stress_of(model), 2 * stress) < 1e-14


def test_set_parameter_keeps_the_caller_s_tensor(model: Model, stress: torch.Tensor) -> None:
    mine = tensor(REFERENCE)
    model.set_parameter(E, mine)
    mine.mul_(2)
    assert scaled_difference(stress_of(model), 2 * stress) < 1e-14


def test_models_do_not_share_parameters(elasticity_promoted, stress: torch.Tensor) -> None:
    first, second = Model(elasticity_promoted.root), Model(elasticity_promoted.root)
    first.named_parameters()[E].zero_()
    assert scaled_difference(stress_of(second), stress) < 1e-14


WHAT = "parameter 'model.E'"


@pytest.mark.parametrize(
    ("name", "value", "kind", "message"),
    [
        (
            "E",
            tensor(1.0),
            InputError,
            "no promoted parameter 'E'; this artifact has: model.E",
        ),
        (E, 1.0, InputTypeError, f"{WHAT} is of type float, expected torch.Tensor"),
        (E, None, InputTypeError, f"{WHAT} is of type NoneType, expected torch.Tensor"),
        (
            E,
            torch.tensor(1.0, dtype=torch.float32),
            InputTypeError,
            f"{WHAT} has dtype float32, but the artifact takes float64; convert it with "
            ".to(torch.float64)",
        ),
        (
            E,
            torch.tensor(1),
            InputTypeError,
            f"{WHAT} has dtype int64, but the artifact takes float64; convert it with "
            ".to(torch.float64)",
        ),
        (
            E,
            torch.empty((), dtype=torch.float64, device="meta"),
            InputTypeError,
            f"{WHAT} holds no data of its own (a meta, fake, nested or wrapped tensor, or one "
            "inside a torch.func transform); pass a plain dense tensor",
        ),
        (
            E,
            tensor([1.0]).to_sparse(),
            InputTypeError,
            f"{WHAT} is not a dense tensor; pass one (for example with .to_dense())",
        ),
    ],
    ids=["unknown", "float", "None", "float32", "int64", "meta", "sparse"],
)
def test_set_parameter_refuses_what_does_not_fit(
    model: Model,
    stress: torch.Tensor,
    name: str,
    value: Any,
    kind: type[Exception],
    message: str,
) -> None:
    with pytest.raises(kind) as caught:
        model.set_parameter(name, value)
    assert type(caught.value) is kind
    assert str(caught.value) == message
    assert torch.equal(model.named_parameters()[E], tensor(REFERENCE))
    assert scaled_difference(stress_of(model), stress) < 1e-14


def test_a_slot_whose_dtype_was_changed_behind_our_back_is_an_error(model: Model) -> None:
    model.named_parameters()[E].data = torch.tensor(1.0, dtype=torch.float32)
    with pytest.raises(InputTypeError, match=r"parameter 'model\.E' has dtype float32"):
        stress_of(model)


def test_a_batched_parameter_counts_row_by_row(model: Model, stress: torch.Tensor) -> None:
    factors = tensor([0.5, 1.0, 2.0, 3.0])
    model.set_parameter(E, REFERENCE * factors)
    assert scaled_difference(stress_of(model), factors[:, None] * stress) < 1e-14


def test_the_batch_of_a_call_is_the_broadcast_of_inputs_and_parameters(
    model: Model, stress: torch.Tensor
) -> None:
    factors = tensor([[0.5], [1.0], [2.0]])
    model.set_parameter(E, REFERENCE * factors)
    assert scaled_difference(stress_of(model), factors[..., None] * stress) < 1e-14
    single = stress_of(model, STRAIN[0])
    assert scaled_difference(single, (factors * stress[0])[:, None, :]) < 1e-14


def test_a_parameter_batch_of_one_counts_as_an_axis(model: Model, stress: torch.Tensor) -> None:
    model.set_parameter(E, tensor([REFERENCE]))
    assert scaled_difference(stress_of(model, STRAIN[0]), stress[:1]) < 1e-14
    assert scaled_difference(stress_of(model), stress) < 1e-14


def test_a_parameter_expanded_from_one_value_is_a_batch(model: Model, stress: torch.Tensor) -> None:
    model.set_parameter(E, tensor(REFERENCE).expand(4))
    assert scaled_difference(stress_of(model), stress) < 1e-14


def test_a_parameter_batch_that_does_not_broadcast_is_refused(model: Model) -> None:
    model.set_parameter(E, tensor([1.0, 2.0, 3.0]))
    with pytest.raises(InputError) as caught:
        stress_of(model)
    assert str(caught.value) == (
        "parameter 'model.E' has batch shape (3,), which does not broadcast with the batch shape "
        "(4,) of the tensors before it"
    )
    model.set_parameter(E, tensor(REFERENCE))
    stress_of(model)


def test_an_empty_parameter_batch_gives_empty_results(model: Model) -> None:
    model.set_parameter(E, tensor([]))
    assert stress_of(model, STRAIN[0]).shape == (0, 6)


def test_natural_outputs_have_the_batch_of_the_parameter(model: Model) -> None:
    model.set_parameter(E, tensor([1.0, 2.0]))
    found = model.forward_natural({"strain": STRAIN[0]})
    assert found["stress"].shape == (2, 6)


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 2), (0,)], ids=str)
def test_blocks_that_depend_on_a_promoted_parameter_are_batched(
    model: Model, batch: tuple[int, ...]
) -> None:
    _, blocks = model.jacobian({"strain": torch.zeros(*batch, 6, dtype=torch.float64)})
    assert blocks["stress"]["strain"].shape == (*batch, 6, 6)


def test_derivatives_see_a_batched_parameter(model: Model, elasticity) -> None:
    _, reference = Model(elasticity.root).jacobian({"strain": STRAIN})
    factors = tensor([0.5, 1.0, 2.0, 3.0])
    model.set_parameter(E, REFERENCE * factors)
    _, blocks = model.jacobian({"strain": STRAIN})
    expected = factors[:, None, None] * reference["stress"]["strain"]
    assert scaled_difference(blocks["stress"]["strain"], expected) < 1e-14
    _, derivatives = model.jvp({"strain": STRAIN}, {"strain": STRAIN})
    contracted = (expected @ STRAIN[..., None]).squeeze(-1)
    assert scaled_difference(derivatives["stress"], contracted) < 1e-13


def test_parameters_that_require_grad_give_gradients(model: Model, stress: torch.Tensor) -> None:
    value = tensor(REFERENCE).requires_grad_()
    model.set_parameter(E, value)
    found = stress_of(model)
    assert scaled_difference(found.detach(), stress) < 1e-14
    found.sum().backward()
    assert value.grad is not None
    assert value.grad.item() == pytest.approx((stress.sum() / value).item())


def test_parameters_of_a_model_opened_in_inference_mode_can_be_changed_outside(
    elasticity_promoted, stress: torch.Tensor
) -> None:
    with torch.inference_mode():
        model = Model(elasticity_promoted.root)
    model.named_parameters()[E].mul_(2)
    assert scaled_difference(stress_of(model), 2 * stress) < 1e-14
    values = torch.full((2, 2), REFERENCE, dtype=torch.float64)
    with torch.inference_mode():
        model.set_parameter(E, values[:, 0])
    model.named_parameters()[E].mul_(2)
    assert scaled_difference(stress_of(model, STRAIN[:2]), 2 * stress[:2]) < 1e-14
