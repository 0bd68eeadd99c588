"""Promoted parameters inside and around a solve: values per row, overrides, derivatives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from artifact_cache import compiled
from features import MODULUS, YIELD_STRESS, increments, perzyna, rows_of
from twins import Tensors, Twin, scaled_difference

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.errors import DerivativeNotCompiledError, InputError, InputTypeError

PAIRS = (("stress", YIELD_STRESS), ("plastic_strain", YIELD_STRESS), ("stress", MODULUS))
RELATIVE_STEP = 1e-4


@pytest.fixture(scope="module")
def model() -> Model:
    return perzyna("promoted")


@pytest.fixture(scope="module")
def elastic(elasticity_promoted) -> Model:
    """One forward segment, whose parameter derivatives are graphs of their own."""
    return Model(elasticity_promoted.root)


def value_of(model: Model, name: str) -> torch.Tensor:
    return model.named_parameters()[name].clone()


def central_difference(model: Model, inputs: Tensors, output: str, name: str) -> torch.Tensor:
    value = value_of(model, name)
    step = RELATIVE_STEP * value
    above, below = (
        model.forward(inputs, {name: value + sign * step})[output] for sign in (1.0, -1.0)
    )
    return (above - below) / (2 * step)


# --- derivatives


@pytest.mark.parametrize(("output", "name"), PAIRS)
def test_param_jacobian_matches_central_differences(model: Model, output: str, name: str) -> None:
    inputs = increments(5)
    _, blocks = model.param_jacobian(inputs)
    expected = central_difference(model, inputs, output, name)
    assert expected.abs().max() > 0
    assert scaled_difference(blocks[output][name], expected) < 1e-6


def test_param_jacobian_of_a_forward_model_matches_the_closed_form(elastic: Model) -> None:
    strain = {"strain": increments(4)["strain"]}
    outputs, blocks = elastic.param_jacobian(strain)
    modulus = value_of(elastic, "model.E")
    assert torch.equal(outputs["stress"], elastic.forward(strain)["stress"])
    assert scaled_difference(blocks["stress"]["model.E"], outputs["stress"] / modulus) < 1e-14


def test_param_jacobian_has_the_compiled_pairs_in_declared_order(model: Model) -> None:
    outputs, blocks = model.param_jacobian(increments(2))
    assert list(outputs) == model.output_names
    assert {(output, name) for output, row in blocks.items() for name in row} == set(PAIRS)
    assert list(blocks) == [name for name in model.output_names if name in blocks]


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3), (0,)])
def test_param_jacobian_blocks_have_the_batch(model: Model, batch: tuple[int, ...]) -> None:
    _, blocks = model.param_jacobian(increments(*batch))
    assert blocks["stress"][YIELD_STRESS].shape == (*batch, 6)


def test_values_beside_param_jacobian_are_those_of_forward(model: Model) -> None:
    inputs = increments(3)
    outputs, _ = model.param_jacobian(inputs)
    for name, value in model.forward(inputs).items():
        assert torch.equal(outputs[name], value)


def weights(*batch: int) -> Tensors:
    generator = torch.Generator().manual_seed(7)
    return {
        name: torch.rand(*batch, 6, dtype=torch.float64, generator=generator)
        for name in ("stress", "plastic_strain")
    }


def contracted(blocks: dict[str, Tensors], cotangents: Tensors, name: str) -> torch.Tensor:
    """Per row."""
    parts = [
        (cotangents[output] * row[name]).sum(-1)
        for output, row in blocks.items()
        if name in row and output in cotangents
    ]
    return torch.stack(parts).sum(0)


def test_param_vjp_contracts_param_jacobian(model: Model) -> None:
    inputs, cotangents = increments(2, 3), weights(2, 3)
    _, blocks = model.param_jacobian(inputs)
    gradients = model.param_vjp(inputs, cotangents)
    assert list(gradients) == [n for n in model.named_parameters() if n in gradients]
    for name, gradient in gradients.items():
        assert gradient.shape == ()
        expected = contracted(blocks, cotangents, name).sum()
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=0.0)


def test_param_vjp_of_a_forward_model_runs_the_adjoint_graph(elastic: Model) -> None:
    strain, cotangent = {"strain": increments(4)["strain"]}, weights(4)["stress"]
    _outputs, blocks = elastic.param_jacobian(strain)
    found = elastic.param_vjp(strain, {"stress": cotangent})
    expected = (cotangent * blocks["stress"]["model.E"]).sum()
    assert list(found) == ["model.E"]
    torch.testing.assert_close(found["model.E"], expected, rtol=1e-12, atol=0.0)


def test_param_vjp_of_a_batched_parameter_is_kept_by_row(model: Model, elastic: Model) -> None:
    for shape in ((3,), (1,)):
        override = {YIELD_STRESS: value_of(model, YIELD_STRESS).expand(shape).contiguous()}
        inputs, cotangents = increments(3), weights(3)
        gradient = model.param_vjp(inputs, cotangents, override)[YIELD_STRESS]
        _, blocks = model.param_jacobian(inputs, override)
        torch.testing.assert_close(gradient, contracted(blocks, cotangents, YIELD_STRESS))
    strain = {"strain": increments(3)["strain"]}
    moduli = {"model.E": torch.tensor([1e5, 2e5, 3e5], dtype=torch.float64)}
    gradient = elastic.param_vjp(strain, {"stress": weights(3)["stress"]}, moduli)["model.E"]
    _, blocks = elastic.param_jacobian(strain, moduli)
    expected = (weights(3)["stress"] * blocks["stress"]["model.E"]).sum(-1)
    torch.testing.assert_close(gradient, expected)


def test_param_vjp_takes_a_missing_cotangent_for_zero(model: Model, elastic: Model) -> None:
    inputs, cotangents = increments(3), weights(3)
    some = {"plastic_strain": cotangents["plastic_strain"]}
    every = some | {"stress": torch.zeros_like(cotangents["stress"])}
    found = model.param_vjp(inputs, some)
    for name, value in model.param_vjp(inputs, every).items():
        assert torch.equal(found[name], value)
    zero = elastic.param_vjp({"strain": inputs["strain"]}, {})
    assert torch.equal(zero["model.E"], torch.zeros((), dtype=torch.float64))


def test_param_vjp_broadcasts_cotangents(model: Model) -> None:
    inputs = increments(3)
    single = {"stress": weights()["stress"]}
    full = {"stress": single["stress"].expand(3, 6).contiguous()}
    found = model.param_vjp(inputs, single)
    for name, value in model.param_vjp(inputs, full).items():
        torch.testing.assert_close(found[name], value, rtol=1e-14, atol=0.0)


def test_param_vjp_of_no_rows_is_zero(model: Model, elastic: Model) -> None:
    found = model.param_vjp(increments(0), {"stress": weights(0)["stress"]})
    assert found[YIELD_STRESS].item() == 0.0
    strain = {"strain": increments(0)["strain"]}
    found = elastic.param_vjp(strain, {"stress": weights(0)["stress"]})
    assert found["model.E"].item() == 0.0


@pytest.mark.parametrize(
    ("cotangents", "kind", "message"),
    [
        (
            {"stres": torch.zeros(3, 6, dtype=torch.float64)},
            InputError,
            "cotangent 'stres' is not of an output; the model returns stress, plastic_strain",
        ),
        (
            {"stress": torch.zeros(3, 5, dtype=torch.float64)},
            InputError,
            "cotangent 'stress' has shape (3, 5), expected (*batch, *base) ending with (6,); base "
            "and sub-batch axes are never broadcast",
        ),
        (
            {"stress": torch.zeros(4, 6, dtype=torch.float64)},
            InputError,
            "cotangent 'stress' has batch shape (4,), which does not broadcast to the batch shape "
            "(3,) of the inputs",
        ),
        (
            {"stress": torch.zeros(3, 6)},
            InputTypeError,
            "cotangent 'stress' has dtype float32, but the artifact takes float64; convert it with "
            ".to(torch.float64)",
        ),
        ({"stress": [0.0]}, InputTypeError, "cotangent 'stress' is of type list, expected "),
    ],
)
def test_cotangents_are_checked(
    model: Model, cotangents: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        model.param_vjp(increments(3), cotangents)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("operation", ["param_jacobian", "param_vjp"])
def test_an_artifact_without_parameter_derivatives_says_how_to_compile_them(
    elasticity, operation: str
) -> None:
    model = Model(elasticity.root)
    strain = {"strain": increments(2)["strain"]}
    with pytest.raises(DerivativeNotCompiledError) as caught:
        getattr(model, operation)(*([strain, {}] if operation == "param_vjp" else [strain]))
    assert str(caught.value) == (
        f"{operation}: {model.manifest.metadata_file} was compiled without parameter derivatives; "
        "recompile it with neml2-compile --parameter NAME -d OUT:NAME for the pairs you need"
    )


# --- one value per row


YIELD_STRESSES = torch.tensor([40.0, 60.0, 90.0, 40.0], dtype=torch.float64)


@pytest.mark.parametrize("operation", ["forward", "jacobian", "param_jacobian"])
def test_rows_are_solved_with_their_own_parameters(model: Model, operation: str) -> None:
    inputs = increments(4)
    together = getattr(model, operation)(inputs, {YIELD_STRESS: YIELD_STRESSES})
    for row, value in enumerate(YIELD_STRESSES):
        alone = getattr(model, operation)(rows_of(inputs, row), {YIELD_STRESS: value})
        for found, expected in zip(leaves(together), leaves(alone), strict=True):
            assert scaled_difference(found[row : row + 1], expected) < 1e-12


def leaves(node: object) -> list[torch.Tensor]:
    if isinstance(node, torch.Tensor):
        return [node]
    parts = node.values() if isinstance(node, dict) else node
    return [leaf for part in parts for leaf in leaves(part)]  # type: ignore[union-attr]


def test_rows_differ_where_their_parameters_do(model: Model) -> None:
    inputs = {name: value[:1].expand(4, *value.shape[1:]) for name, value in increments(1).items()}
    stress = model.forward(inputs, {YIELD_STRESS: YIELD_STRESSES})["stress"]
    assert torch.equal(stress[0], stress[3])
    assert (stress[0] - stress[1]).abs().max() > 1.0


def test_the_batch_of_a_call_is_that_of_inputs_and_parameters(model: Model) -> None:
    unbatched = increments()
    outputs = model.forward(unbatched, {YIELD_STRESS: YIELD_STRESSES})
    assert outputs["stress"].shape == (4, 6)
    crossed = model.forward(increments(3), {YIELD_STRESS: YIELD_STRESSES.reshape(4, 1)})
    assert crossed["stress"].shape == (4, 3, 6)
    for row in range(4):
        alone = model.forward(increments(3), {YIELD_STRESS: YIELD_STRESSES[row]})
        assert scaled_difference(crossed["stress"][row], alone["stress"]) < 1e-12
    with pytest.raises(InputError, match=f"parameter '{YIELD_STRESS}' has batch"):
        model.forward(increments(3), {YIELD_STRESS: YIELD_STRESSES})


def test_a_batched_value_may_be_stored(model: Model) -> None:
    fresh = perzyna("promoted")
    fresh.set_parameter(YIELD_STRESS, YIELD_STRESSES)
    inputs = increments(4)
    expected = model.forward(inputs, {YIELD_STRESS: YIELD_STRESSES})
    assert torch.equal(fresh.forward(inputs)["stress"], expected["stress"])


# --- overrides


def test_overrides_do_not_stick(model: Model) -> None:
    inputs = increments(3)
    before = model.forward(inputs)["stress"]
    changed = model.forward(inputs, {YIELD_STRESS: 2 * value_of(model, YIELD_STRESS)})["stress"]
    assert (changed - before).abs().max() > 1.0
    assert torch.equal(model.forward(inputs)["stress"], before)
    assert torch.equal(model.forward(inputs, None)["stress"], before)
    assert torch.equal(model.forward(inputs, param_overrides={})["stress"], before)


def test_overrides_reach_jvp_and_jacobian(model: Model) -> None:
    inputs, override = increments(3), {MODULUS: torch.tensor(1e5, dtype=torch.float64)}
    tangents = {"strain": torch.ones(3, 6, dtype=torch.float64)}
    fresh = perzyna("promoted")
    fresh.set_parameter(MODULUS, override[MODULUS])
    for found, expected in (
        (model.jvp(inputs, tangents, override), fresh.jvp(inputs, tangents)),
        (model.jacobian(inputs, override), fresh.jacobian(inputs)),
    ):
        for value, reference in zip(leaves(found), leaves(expected), strict=True):
            assert torch.equal(value, reference)


@pytest.mark.parametrize(
    ("overrides", "kind", "message"),
    [
        (
            {"sy": torch.tensor(1.0, dtype=torch.float64)},
            InputError,
            "no promoted parameter 'sy'; this artifact has: ",
        ),
        (
            {YIELD_STRESS: torch.tensor(1.0)},
            InputTypeError,
            f"parameter '{YIELD_STRESS}' has dtype float32, but the artifact takes float64",
        ),
        ({YIELD_STRESS: 1.0}, InputTypeError, f"parameter override '{YIELD_STRESS}' is of type "),
        ([1.0], InputTypeError, "parameter overrides must be a mapping from name to tensor"),
    ],
)
def test_overrides_are_checked(
    model: Model, overrides: object, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        model.forward(increments(2), overrides)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_param_vjp_takes_the_cotangent_of_a_scalar(twin_of: Callable[[str], Twin]) -> None:
    model = Model(compiled("chaboche", variant="promoted").root)
    inputs = twin_of("chaboche").inputs(3)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    gradients = model.param_vjp(inputs, {"equivalent_plastic_strain": weights})
    _, blocks = model.param_jacobian(inputs)
    for name, gradient in gradients.items():
        expected = (weights * blocks["equivalent_plastic_strain"][name]).sum()
        assert scaled_difference(gradient, expected) < 1e-12, name
