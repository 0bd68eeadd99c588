"""Which outputs the metadata lets depend on which inputs."""

from __future__ import annotations

import dataclasses

from made_up_artifacts import golden, read

from neml2_aoti_plugin.artifact.dependence import dependent_pairs
from neml2_aoti_plugin.artifact.manifest import ForwardSegment, InputDerivativeGraph, Manifest


def chain(*sources: tuple[tuple[str, tuple[str, ...]], ...]) -> Manifest:
    """A manifest of forward segments, each given as (output, what it is paired with)."""
    whole = read(golden("v14/elasticity"))
    (segment,) = whole.segments
    assert isinstance(segment, ForwardSegment)
    assert segment.input_derivatives is not None
    pair = segment.input_derivatives.pairs[0]
    segments = tuple(
        dataclasses.replace(
            segment,
            inputs=tuple(dict.fromkeys(name for _, names in outputs for name in names)),
            outputs=tuple(name for name, _ in outputs),
            input_derivatives=InputDerivativeGraph(
                graph="graph.pt2",
                pairs=tuple(
                    dataclasses.replace(pair, output=output, input=name)
                    for output, names in outputs
                    for name in names
                ),
            ),
        )
        for outputs in sources
    )
    variable = whole.inputs[0]
    return dataclasses.replace(
        whole,
        inputs=tuple(dataclasses.replace(variable, name=name) for name in ("a", "b")),
        outputs=tuple(dataclasses.replace(variable, name=name) for name in ("x", "y")),
        segments=segments,
    )


def test_dependence_passes_through_intermediate_variables() -> None:
    manifest = chain((("m", ("a",)), ("n", ("b",))), (("x", ("m",)), ("y", ("m", "n"))))
    assert dependent_pairs(manifest) == {("x", "a"), ("y", "a"), ("y", "b")}


def test_output_without_pairs_depends_on_nothing() -> None:
    assert dependent_pairs(chain((("x", ("a",)), ("y", ())))) == {("x", "a")}


def test_segment_without_a_derivative_graph_may_depend_on_all() -> None:
    manifest = chain((("x", ("a",)), ("y", ("b",))))
    (segment,) = manifest.segments
    assert isinstance(segment, ForwardSegment)
    bare = dataclasses.replace(segment, input_derivatives=None)
    assert dependent_pairs(dataclasses.replace(manifest, segments=(bare,))) == {
        ("x", "a"),
        ("x", "b"),
        ("y", "a"),
        ("y", "b"),
    }


def test_unknowns_depend_on_the_givens_and_not_on_the_guess() -> None:
    manifest = read(golden("v14/viscoplasticity"))
    pairs = dependent_pairs(manifest)
    unknowns = {variable.name for variable in manifest.outputs}
    assert {output for output, _ in pairs} == unknowns
    assert all(source not in unknowns for _, source in pairs)
