"""Graphs whose source tells what they take, against the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from made_up_artifacts import FILE, golden, read

from neml2_aoti_plugin.artifact.arguments import check_arguments
from neml2_aoti_plugin.artifact.graphs import graph_names
from neml2_aoti_plugin.artifact.manifest import ForwardSegment, Manifest
from neml2_aoti_plugin.artifact.package import PackageFacts
from neml2_aoti_plugin.artifact.signature import Extents, GraphArgument
from neml2_aoti_plugin.errors import ArtifactError

FOLDER = Path("/artifact")
OTHER_COMPILATION = (
    " by the metadata. The graph and the metadata are of different compilations, as when another "
    "leaf was compiled later with other options. Recompile this leaf."
)

Shapes = tuple[Extents, ...]


def traced(
    manifest: Manifest, shapes: Mapping[str, Shapes | None], **changes: Any
) -> dict[str, PackageFacts]:
    """Facts of all graphs of the manifest; those without shapes do not say what they take."""
    return {
        name: PackageFacts(
            file=FOLDER / name,
            device="cpu",
            platform=None,
            architecture=None,
            cpu_isa=None,
            operators=frozenset(),
            arguments=_arguments(shapes.get(name), **changes),
        )
        for name in graph_names(manifest)
    }


def _arguments(
    shapes: Shapes | None, dtype: str = "float64", types: tuple[str | None, ...] | None = None
) -> tuple[GraphArgument, ...] | None:
    if shapes is None:
        return None
    names = types or (None,) * len(shapes)
    return tuple(
        GraphArgument(dtype=dtype, shape=shape, type_name=name)
        for shape, name in zip(shapes, names, strict=True)
    )


def refusal(manifest: Manifest, packages: Mapping[str, PackageFacts]) -> str:
    with pytest.raises(ArtifactError) as caught:
        check_arguments(manifest, packages)
    return str(caught.value)


ELASTICITY = read(golden("v14/elasticity"))
"""One input, two promoted parameters with one value per row."""

VISCOPLASTICITY = read(golden("v14/viscoplasticity"))
"""Unknowns of 6, givens of 14, one promoted parameter."""


def test_graphs_that_do_not_tell_leave_the_manifest_as_it_is() -> None:
    assert check_arguments(VISCOPLASTICITY, traced(VISCOPLASTICITY, {})) == VISCOPLASTICITY


def test_free_batch_is_no_fixed_one() -> None:
    shapes: Shapes = ((None, 6), (None,), (None,))
    packages = traced(ELASTICITY, {"model.pt2": shapes, "model_jvp.pt2": shapes})
    assert check_arguments(ELASTICITY, packages).fixed_batch is None


def traced_with(batch: Extents) -> dict[str, PackageFacts]:
    """All graphs of :data:`ELASTICITY`, the adjoint with a cotangent."""
    listed: Shapes = ((*batch, 6), batch, batch)
    shapes = dict.fromkeys(("model.pt2", "model_jvp.pt2", "model_pjac.pt2"), listed)
    return traced(ELASTICITY, {**shapes, "model_pvjp.pt2": (*listed, (*batch, 6))})


@pytest.mark.parametrize("batch", [(5,), (None, 3), (4, 3), ()])
def test_other_batch_is_recorded(batch: Extents) -> None:
    assert check_arguments(ELASTICITY, traced_with(batch)).fixed_batch == batch


def test_ranks_are_recorded_where_the_batch_is_not_one_axis() -> None:
    ranks = check_arguments(ELASTICITY, traced_with((None, 3))).argument_ranks
    assert ranks["model.pt2"] == (3, 2, 2)
    assert ranks["model_pvjp.pt2"] == (3, 2, 2, 3)
    assert check_arguments(ELASTICITY, traced_with((5,))).argument_ranks == {}


def test_several_batch_axes_must_be_told_by_every_graph() -> None:
    packages = traced(ELASTICITY, {"model.pt2": ((None, 3, 6), (None, 3), (None, 3))})
    assert refusal(ELASTICITY, packages) == (
        f"{FOLDER}/model_jvp.pt2: does not tell the shapes of its arguments, while other graphs "
        "were traced with several batch axes. Recompile the model with an --example-batch-shape of "
        "one axis."
    )


def test_fixed_batch_of_a_solve_is_recorded() -> None:
    packages = traced(VISCOPLASTICITY, {"model_seg0_residual.pt2": ((5, 6), (5, 14), ())})
    assert check_arguments(VISCOPLASTICITY, packages).fixed_batch == (5,)


def test_graphs_of_different_batches_are_refused() -> None:
    packages = traced(
        ELASTICITY,
        {"model.pt2": ((5, 6), (5,), (5,)), "model_jvp.pt2": ((None, 6), (None,), (None,))},
    )
    assert refusal(ELASTICITY, packages) == (
        f"{FILE.parent}/cpu/float64: 'model.pt2' was traced with a batch of shape (5,), "
        "'model_jvp.pt2' with (None,); expected the same (None is free). Recompile the model."
    )


def test_graph_with_too_few_arguments_is_of_another_compilation() -> None:
    packages = traced(ELASTICITY, {"model.pt2": ((None, 6),)})
    assert refusal(ELASTICITY, packages) == (
        f"{FOLDER}/model.pt2: takes 1 arguments; expected 3" + OTHER_COMPILATION
    )


def test_solve_graph_with_too_few_arguments_is_of_another_compilation() -> None:
    packages = traced(VISCOPLASTICITY, {"model_seg0_solve.pt2": ((None, 6, 6),)})
    assert refusal(VISCOPLASTICITY, packages) == (
        f"{FOLDER}/model_seg0_solve.pt2: takes 1 arguments; expected 2" + OTHER_COMPILATION
    )


def test_argument_of_another_shape_is_of_another_compilation() -> None:
    packages = traced(VISCOPLASTICITY, {"model_seg0_residual.pt2": ((None, 7), (None, 14), ())})
    assert refusal(VISCOPLASTICITY, packages) == (
        f"{FOLDER}/model_seg0_residual.pt2: takes argument 0, the unknowns plastic_strain, as "
        "(*, 7); expected (batch, 6)" + OTHER_COMPILATION
    )


def test_single_precision_graph_is_refused() -> None:
    packages = traced(ELASTICITY, {"model.pt2": ((None, 6), (None,), (None,))}, dtype="float32")
    assert refusal(ELASTICITY, packages) == (
        f"{FOLDER}/model.pt2: takes argument 0, 'strain', in float32; expected float64, which "
        "every release of neml2 compiles to. Recompile the model."
    )


# --- order of arguments where parameters are promoted, up to 3.0.3


def with_two_inputs() -> Manifest:
    """A composition whose forward segment takes two inputs and a parameter."""
    document = golden("v3/viscoplasticity")
    document["parameters"] = [
        {
            "name": "elasticity.E",
            "dtype": "float64",
            "shape": [],
            "device": "cpu",
            "values": [2e5],
            "origin": "parameter",
        }
    ]
    document["segments"][1]["param_inputs"] = ["elasticity.E"]
    return read(document)


def order_of(manifest: Manifest) -> tuple[int, ...] | None:
    segment = manifest.segments[-1]
    assert isinstance(segment, ForwardSegment)
    return segment.argument_order


@pytest.mark.parametrize("types", [("SR2", None, "SR2"), None])
def test_parameter_between_inputs_is_found_by_type_or_by_rank(
    types: tuple[str | None, ...] | None,
) -> None:
    manifest = with_two_inputs()
    shapes: Shapes = ((None, 6), (), (None, 6))
    graphs = {"model_seg1.pt2": shapes, "model_seg1_jvp.pt2": shapes}
    packages = traced(manifest, {}) | {
        name: facts
        for name, facts in traced(manifest, graphs, types=types).items()
        if name in graphs
    }
    assert order_of(check_arguments(manifest, packages)) == (0, 2, 1)


def test_order_that_is_recorded_nowhere_is_refused() -> None:
    manifest = with_two_inputs()
    assert refusal(manifest, traced(manifest, {})) == (
        f"{FOLDER}/model_seg1.pt2: parameters elasticity.E are promoted, and in what order the "
        f"graph takes them and strain, plastic_strain is recorded neither in '{FILE.name}' nor in "
        "the graph. Recompile the model with neml2 3.0.4 or later."
    )


def test_lone_segment_takes_its_arguments_as_listed() -> None:
    manifest = read(golden("v3/elasticity"))
    assert order_of(check_arguments(manifest, traced(manifest, {}))) == (0, 1, 2)


def test_graphs_of_one_segment_in_different_order_are_refused() -> None:
    manifest = with_two_inputs()
    packages = traced(
        manifest,
        {
            "model_seg1.pt2": ((None, 6), (), (None, 6)),
            "model_seg1_jvp.pt2": ((None, 6), (None, 6), ()),
        },
    )
    assert "takes its arguments in another order" in refusal(manifest, packages)
