"""Artifacts that earlier releases wrote run under the installed one, through their own stubs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from artifact_cache import (
    FEATURE_RECIPES,
    CompiledCase,
    compile_input,
    compiled,
    compiled_feature,
)
from programs import assert_passes_in_silence, neml2_run
from twins import Tensors, Twin, scaled_difference, sensitivity_scale
from writers import (
    CELLS,
    DERIVATIVE_TOLERANCE,
    VALUE_TOLERANCE,
    measure,
    reference,
    with_guesses,
)

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.artifact.manifest import ForwardSegment, ImplicitSegment
from neml2_aoti_plugin.errors import UnsupportedFeatureError
from neml2_aoti_plugin.solves import SolveRecord

pytestmark = pytest.mark.slow

VARIANTS = {"schema2": 2, "schema3": 3, "schema7": 7, "schema12": 12}

OLD = (
    *(("rate_independent", variant) for variant in VARIANTS),
    *((case, variant) for case in ("elasticity", "chaboche") for variant in ("schema2", "schema3")),
    ("composed", "schema3"),
)
"""Those that have the outputs of the native model."""

DERIVATIVES = (*OLD, ("composed", "schema2"))

STUBS = (
    *OLD,
    *(
        (case, variant)
        for case in ("elasticity", "chaboche", "composed")
        for variant in ("schema7", "schema12")
    ),
)
"""Those whose drivers run to the gold of the native model."""

TWO_GROUPS = Path(__file__).parent / "inputs" / "two_groups.i"


def case_id(value: str | tuple[str, str]) -> str:
    return value.replace(" ", "_") if isinstance(value, str) else "-".join(value)


@pytest.fixture(params=OLD, ids=case_id)
def old(request: pytest.FixtureRequest) -> CompiledCase:
    case, variant = request.param
    return compiled(case, variant=variant)


def solved_to_rounding(model: Model) -> Model:
    model.set_solver_config(1e-13, 1e-12, 60, "BACKTRACKING", 1, 2.0, 1e-3)
    return model


# --- the table of docs/compatibility.md


@pytest.fixture(scope="module")
def reference_of() -> Callable[[str], Twin]:
    twins: dict[str, Twin] = {}

    def find(model: str) -> Twin:
        if model not in twins:
            twins[model] = reference(model)
        return twins[model]

    return find


@pytest.mark.parametrize(("model", "writer"), CELLS, ids=case_id)
def test_artifact_of_every_release_agrees_with_the_native_model(
    model: str, writer: str, reference_of: Callable[[str], Twin]
) -> None:
    figures = measure(model, writer, reference_of(model))
    assert figures.values < VALUE_TOLERANCE
    assert figures.derivatives < DERIVATIVE_TOLERANCE


# --- stubs


@pytest.mark.parametrize(("case", "variant"), STUBS)
def test_old_stub_reproduces_the_native_gold(case: str, variant: str) -> None:
    old = compiled(case, variant=variant)
    assert Model(old.metadata).manifest.schema_version == VARIANTS[old.variant]
    assert_passes_in_silence(neml2_run(old.stub, "regression"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_old_bundle_runs_after_a_move(variant: str, tmp_path: Path) -> None:
    # The stub of schema 7 holds the absolute path of where it was compiled: nothing must be there.
    old = compiled("rate_independent", variant=variant)
    bundle = tmp_path / "moved here"
    shutil.copytree(old.folder, bundle)
    stub = bundle / old.stub.name
    stub.write_text(stub.read_text().replace(str(old.folder), "/nowhere"))
    assert_passes_in_silence(neml2_run(stub, "regression"))


def test_old_artifact_agrees_with_a_new_one(
    old: CompiledCase, twin_of: Callable[..., Twin]
) -> None:
    """Same model, same settings: values and derivatives differ by what a solve leaves open."""
    twin = twin_of(old.name)
    ours = solved_to_rounding(Model(old.metadata))
    new = solved_to_rounding(Model(twin.case.root))
    inputs = twin.inputs(4)
    found, found_blocks = ours.jacobian(with_guesses(ours, inputs))
    expected, expected_blocks = new.jacobian(inputs)
    for name, value in expected.items():
        assert scaled_difference(found[name], value) < 1e-10, name
        for input, block in expected_blocks[name].items():
            if input not in ours.input_names:
                continue  # a guess, which some releases do not take
            scale = sensitivity_scale(value, inputs[input], block)
            error = (found_blocks[name][input] - block).abs().max().item()
            assert error < 1e-8 * scale, (name, input)


@pytest.mark.parametrize(("case", "variant"), DERIVATIVES)
def test_old_jvp_agrees_with_jacobian(
    case: str, variant: str, twin_of: Callable[..., Twin]
) -> None:
    model = Model(compiled(case, variant=variant).metadata)
    inputs = with_guesses(model, twin_of(case).inputs(3))
    outputs, blocks = model.jacobian(inputs)
    tangents = {name: torch.ones_like(value) for name, value in inputs.items()}
    _, derivatives = model.jvp(inputs, tangents)
    for output, row in blocks.items():
        first_input_axis = outputs[output].dim()
        parts = torch.stack(
            [
                block.flatten(first_input_axis).sum(-1) if block.dim() > first_input_axis else block
                for block in row.values()
            ]
        )
        error = (derivatives[output] - parts.sum(0)).abs().max().item()
        assert error < 1e-12 * parts.abs().max().item(), output


# --- promoted parameters, which these releases take at their stored shape


@pytest.mark.parametrize("variant", ["schema2", "schema3"])
def test_stress_follows_a_promoted_modulus(variant: str, twin_of: Callable[..., Twin]) -> None:
    model = Model(compiled("elasticity", variant=variant).metadata)
    inputs = twin_of("elasticity").inputs(4)
    before = model.forward(inputs)["stress"]
    model.set_parameter("E", torch.tensor(1.0e5, dtype=torch.float64))
    assert scaled_difference(model.forward(inputs)["stress"], before / 2) < 1e-14


@pytest.mark.parametrize("variant", ["schema2", "schema3"])
def test_every_row_follows_its_own_modulus(variant: str, twin_of: Callable[..., Twin]) -> None:
    model = Model(compiled("elasticity", variant=variant).metadata)
    inputs = twin_of("elasticity").inputs(4)
    before, blocks_before = model.jacobian(inputs)
    factors = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    model.set_parameter("E", 2.0e5 * factors)
    after, blocks = model.jacobian(inputs)
    assert scaled_difference(after["stress"], before["stress"] * factors[:, None]) < 1e-14
    expected = blocks_before["stress"]["strain"] * factors[:, None, None]
    assert scaled_difference(blocks["stress"]["strain"], expected) < 1e-14


@pytest.mark.parametrize("variant", ["schema2", "schema3"])
def test_parameter_that_was_traced_between_inputs_reaches_its_argument(
    variant: str, twin_of: Callable[..., Twin]
) -> None:
    """The metadata lists the parameter last, the graph takes it second: expansion by twice the
    coefficient is that by twice the difference of temperature."""
    model = solved_to_rounding(Model(compiled("composed", variant=variant).metadata))
    segment = model.manifest.segments[0]
    assert isinstance(segment, ForwardSegment)
    assert segment.argument_order not in (None, (0, 1, 2))
    inputs = twin_of("composed").inputs(4)
    inputs["temperature"] += 300.0
    hotter = inputs | {"temperature": 2 * inputs["temperature"] - 300.0}
    expected = model.forward(hotter)["stress"]
    model.set_parameter("eigenstrain.alpha", torch.tensor(2.4e-5, dtype=torch.float64))
    assert scaled_difference(model.forward(inputs)["stress"], expected) < 1e-9


# --- settings of each segment


def test_each_solve_keeps_the_settings_that_its_file_gives_it() -> None:
    model = Model(compiled_feature("two_updates", "schema3").metadata)
    solves: list[SolveRecord] = []
    load = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    found = model.forward(with_guesses(model, {"load": load}), None, solves)
    first, second = solves
    settings = [(s.absolute_tolerance, s.relative_tolerance, s.max_iterations) for s in solves]
    assert settings == [(1e-12, 1e-12, 30), (1e-3, 1e-2, 7)]
    assert first.residual_norms.max() < 1e-11
    assert second.residual_norms.max() > 1e-6
    assert second.iterations.max() < first.iterations.max()
    root, next_ = found["root"], found["next"]
    torch.testing.assert_close(root + root**2, load)
    left = next_ + next_**2 - root
    torch.testing.assert_close(left.abs(), second.residual_norms, rtol=1e-6, atol=0.0)
    segments = [s for s in model.manifest.segments if isinstance(s, ImplicitSegment)]
    assert [s.newton.line_search_max_iterations for s in segments] == [4, 1]


@pytest.mark.parametrize("variant", ["schema3", "schema7"])
def test_without_a_matrix_to_go_on_with_there_are_no_corrections(
    variant: str, twin_of: Callable[[str], Twin]
) -> None:
    model = Model(compiled("chaboche", variant=variant).metadata)
    inputs = with_guesses(model, twin_of("chaboche").inputs(5))
    plain = model.forward(inputs)
    solves: list[SolveRecord] = []
    model.set_execution(max_corrections=8)
    found = model.forward(inputs, None, solves)
    assert solves[0].iterations.min() > 0
    assert not solves[0].corrections.any()
    assert all(torch.equal(found[name], value) for name, value in plain.items())


# --- sub-batched unknowns


def two_groups() -> CompiledCase:
    """Three sites and what they share, in a block and a dense group."""
    return compiled_feature("two_groups", "schema3")


def one_dense_group() -> CompiledCase:
    recipe = replace(
        FEATURE_RECIPES["two_groups", "schema3"],
        overrides=(
            "EquationSystems/system/unknowns:='site load size'",
            "EquationSystems/system/residuals:='site_residual load_residual size_residual'",
            "EquationSystems/system/structure:='dense'",
            "Solvers/newton/linear_solver:=lu",
        ),
    )
    return compile_input(TWO_GROUPS, recipe, name="two_groups", variant="one_dense")


def loads() -> Tensors:
    generator = torch.Generator().manual_seed(3)
    shapes = {"site": (4, 3, 6), "load": (4, 6), "size": (4,), "share": (4, 3, 6), "total": (4, 6)}
    return {
        name: torch.rand(shape, dtype=torch.float64, generator=generator)
        for name, shape in shapes.items()
    }


def assert_tangent_is_the_difference(model: Model, inputs: Tensors, name: str) -> None:
    generator = torch.Generator().manual_seed(5)
    tangent = torch.rand(inputs[name].shape, dtype=torch.float64, generator=generator)
    _, derivatives = model.jvp(inputs, {name: tangent})
    step = 1e-6
    plus = model.forward(inputs | {name: inputs[name] + step * tangent})
    minus = model.forward(inputs | {name: inputs[name] - step * tangent})
    assert set(derivatives) == {"site", "load", "size"}
    for output, derivative in derivatives.items():
        reference = (plus[output] - minus[output]) / (2 * step)
        assert (derivative - reference).abs().max().item() < 1e-8, output


@pytest.mark.parametrize("compile_case", [two_groups, one_dense_group])
def test_old_sub_batched_solution_satisfies_its_equations(
    compile_case: Callable[[], CompiledCase],
) -> None:
    model = Model(compile_case().metadata)
    inputs = loads()
    found = model.forward(inputs)
    site, load, size = found["site"], found["load"], found["size"]
    trace = load[:, :3].sum(-1)
    torch.testing.assert_close(site + load[:, None] / 5, inputs["share"], rtol=0, atol=1e-12)
    torch.testing.assert_close(load + site.mean(1) / 4, inputs["total"], rtol=0, atol=1e-12)
    torch.testing.assert_close(size + size * trace / 10, trace, rtol=0, atol=1e-11)


@pytest.mark.parametrize("compile_case", [two_groups, one_dense_group])
def test_old_sub_batched_tangent_of_a_common_load_is_the_difference(
    compile_case: Callable[[], CompiledCase],
) -> None:
    assert_tangent_is_the_difference(Model(compile_case().metadata), loads(), "total")


def test_old_tangent_of_sites_in_a_dense_group_is_the_difference() -> None:
    assert_tangent_is_the_difference(Model(one_dense_group().metadata), loads(), "share")


def test_old_tangent_of_sites_that_others_join_is_refused() -> None:
    """3.0.3 compiled it as if all sites moved together, which is another derivative."""
    model = Model(two_groups().metadata)
    inputs = loads()
    with pytest.raises(UnsupportedFeatureError, match="'share' were compiled as if all its sites"):
        model.jvp(inputs, {"share": inputs["share"]})
