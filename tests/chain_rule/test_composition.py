"""A compiled model as the leaf of native compositions: sensitivities equal all-native ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from artifact_cache import CompiledCase, input_file
from composites import (
    assert_same_tangents,
    compiled_leaf,
    draw,
    flow_rule,
    identities,
    native_flow_rule,
    push_forward,
    surrounded,
    tangent,
    typed,
)
from neml2.factory import load_string
from neml2.models.common.ComposedModel import ComposedModel
from neml2.types import SR2

pytestmark = pytest.mark.usefixtures("float64_default")

NativeModel = Callable[[str], torch.nn.Module]

# Compiled kernels reorder sums.
FORWARD_TOLERANCE = 1e-10
# Both sides solve to a relative residual of 1e-10.
SOLVE_TOLERANCE = 1e-7


def compare(
    ours: torch.nn.Module,
    native: torch.nn.Module,
    values: dict[str, torch.Tensor],
    v: dict[str, dict[str, Any]],
    tolerance: float,
) -> int:
    """Values and tangents of both; returns how many blocks are not zero."""
    assert list(ours.input_spec) == list(native.input_spec)
    found, found_tangents = push_forward(ours, typed(ours, values), v)
    expected, expected_tangents = push_forward(native, typed(native, values), v)
    for name, value in expected.items():
        scale = value.data.abs().max()
        assert (found[name].data - value.data).abs().max() <= tolerance * scale, name
    return assert_same_tangents(found_tangents, expected_tangents, expected, tolerance)


@pytest.fixture(scope="module")
def elastic(elasticity: CompiledCase) -> Any:
    return compiled_leaf(elasticity)


@pytest.mark.parametrize("batch", [(4,), (2, 3), (1,), (0,)])
def test_composition_around_a_leaf_with_unbatched_blocks_equals_native(
    elastic: Any, native_model: NativeModel, batch: tuple[int, ...]
) -> None:
    ours, native = surrounded(elastic), surrounded(native_model("elasticity"))
    values = draw(ours, *batch)
    if 0 in batch:
        _, found = push_forward(ours, typed(ours, values), identities(ours, len(batch)))
        assert found["von_mises"]["d_strain_of_one_part"].data.shape == (6, *batch)
        return
    v = identities(ours, len(batch))
    assert compare(ours, native, values, v, FORWARD_TOLERANCE) == 6
    _, tangents = push_forward(ours, typed(ours, values), v)
    assert tangents["stress"]["d_strain_of_one_part"].data.abs().max() > 1e5


def test_block_that_all_rows_share_gives_a_tangent_that_they_share(elastic: Any) -> None:
    values = draw(elastic, 50)
    _, tangents = push_forward(elastic, typed(elastic, values), identities(elastic, 1))
    assert tangents["stress"]["d_strain"].data.shape == (6, 1, 6)


def test_composition_around_a_nonlinear_leaf_equals_native() -> None:
    ours, native = compiled_leaf(flow_rule()), native_flow_rule()
    values = draw(ours, 5)
    assert compare(ours, native, values, identities(ours, 1), FORWARD_TOLERANCE) == 6


@pytest.mark.parametrize("case", ["chaboche", "rate_independent"])
def test_composition_around_a_compiled_solve_equals_native(
    request: pytest.FixtureRequest, native_model: NativeModel, case: str
) -> None:
    leaf: CompiledCase = request.getfixturevalue(case)
    ours, native = surrounded(compiled_leaf(leaf)), surrounded(native_model(case))
    values = draw(ours, 4)
    assert compare(ours, native, values, identities(ours, 1), SOLVE_TOLERANCE) > 20


def test_leaf_of_several_segments_equals_native(
    composed: CompiledCase, native_model: NativeModel
) -> None:
    ours, native = compiled_leaf(composed), native_model("composed")
    values = draw(ours, 4)
    values["displacement_gradient"] *= 4
    assert compare(ours, native, values, identities(ours, 1), SOLVE_TOLERANCE) > 15


def native_perzyna() -> torch.nn.Module:
    """Without what only the compiler understands."""
    only_compiled = ("max_substepping_level", "incremental_variables", "param_sensitivity_solver")
    lines = input_file("perzyna").read_text().splitlines()
    kept = [line for line in lines if not line.strip().startswith(only_compiled)]
    model: torch.nn.Module = load_string("\n".join(kept)).get_model("model")
    return model


def test_promoted_parameters_count_at_their_present_values(
    perzyna_promoted: CompiledCase,
) -> None:
    ours = compiled_leaf(perzyna_promoted)
    modulus = "update.residual.elasticity.E"
    values = draw(ours, 3)
    with_default = push_forward(ours, typed(ours, values), identities(ours, 1))[1]
    ours.set_parameter(modulus, torch.tensor(75e3))
    with_half = push_forward(ours, typed(ours, values), identities(ours, 1))[1]
    native = native_perzyna()
    outputs, expected = push_forward(native, typed(native, values), identities(native, 1))
    assert assert_same_tangents(with_default, expected, outputs, SOLVE_TOLERANCE) > 5
    _, blocks = ours.jacobian(values)
    torch.testing.assert_close(
        with_half["stress"]["d_strain"].data.movedim(0, -1), blocks["stress"]["strain"]
    )
    assert not torch.allclose(
        with_half["stress"]["d_strain"].data, with_default["stress"]["d_strain"].data, rtol=1e-2
    )


def test_compositions_nest(elastic: Any, native_model: NativeModel) -> None:
    def twice_surrounded(leaf: torch.nn.Module) -> ComposedModel:
        return ComposedModel([surrounded(leaf)])

    ours, native = twice_surrounded(elastic), twice_surrounded(native_model("elasticity"))
    values = draw(ours, 3)
    assert compare(ours, native, values, identities(ours, 1), FORWARD_TOLERANCE) == 6


def test_unbatched_inputs_beside_batched_ones_equal_native() -> None:
    ours, native = compiled_leaf(flow_rule()), native_flow_rule()
    values = draw(ours, 4)
    values["temperature"] = torch.tensor(720.0)
    v = identities(ours, 1)  # as equation systems pad them
    assert compare(ours, native, values, v, FORWARD_TOLERANCE) == 6


def test_one_seed_in_several_inputs_adds_up_as_in_native_models() -> None:
    ours, native = compiled_leaf(flow_rule()), native_flow_rule()
    values = draw(ours, 4)
    generator = torch.Generator().manual_seed(3)
    v = {
        name: {
            "together": tangent(kind, torch.rand(2, 4, *kind.BASE_SHAPE, generator=generator)),
            "alone": tangent(kind, torch.rand(1, 1, *kind.BASE_SHAPE, generator=generator)),
        }
        for name, kind in ours.input_spec.items()
    }
    del v["temperature"]["alone"]
    assert compare(ours, native, values, v, FORWARD_TOLERANCE) == 4


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_tangents_without_seed_axes_equal_native(batch: tuple[int, ...]) -> None:
    ours, native = compiled_leaf(flow_rule()), native_flow_rule()
    values = draw(ours, *batch)
    v = {
        name: {name: kind(torch.rand((*batch, *kind.BASE_SHAPE)))}
        for name, kind in ours.input_spec.items()
    }
    assert compare(ours, native, values, v, FORWARD_TOLERANCE) == 6


def test_jacobian_of_the_host_on_a_composition_equals_native(
    elastic: Any, native_model: NativeModel
) -> None:
    ours, native = surrounded(elastic), surrounded(native_model("elasticity"))
    if not hasattr(native, "jacobian"):
        pytest.skip("native models of this neml2 have no jacobian()")
    arguments = {name: SR2(value) for name, value in draw(ours, 4).items()}
    with torch.no_grad():
        (_, found), (_, expected) = (model.jacobian(arguments) for model in (ours, native))
    for output, blocks in expected.items():
        for name, block in blocks.items():
            torch.testing.assert_close(found[output][name].data, block.data, rtol=1e-10, atol=1e-8)


def test_what_needs_second_derivatives_refuses_a_compiled_leaf(elasticity: CompiledCase) -> None:
    text = f"""
    [Models]
      [elasticity]
        type = AOTIModel
        artifact_path = '{elasticity.root}'
        chain_rule = true
      []
      [von_mises]
        type = SR2Invariant
        invariant_type = 'VONMISES'
        tensor = 'stress'
        invariant = 'von_mises'
      []
      [function]
        type = ComposedModel
        models = 'elasticity von_mises'
      []
      [normality]
        type = Normality
        model = 'function'
        function = 'von_mises'
        from = 'strain'
        to = 'direction'
      []
    []
    """
    with pytest.raises(TypeError, match="leaf 'AOTIModel' which does not support second-order"):
        load_string(text).get_model("normality")
