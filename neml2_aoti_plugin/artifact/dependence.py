"""Which outputs depend on which inputs at all, as far as the metadata tells."""

from __future__ import annotations

from neml2_aoti_plugin.artifact.manifest import ForwardSegment, ImplicitSegment, Manifest


def dependent_pairs(manifest: Manifest) -> frozenset[tuple[str, str]]:
    """(output, input) pairs, authored names, that a chain of derivatives may connect.

    The derivative of every other pair is zero at every state. Unknowns depend on all givens of
    their solve, and not on its guess; outputs of a forward segment on the inputs that its
    derivative graph pairs them with, or on all where it has none.
    """
    reached = {variable.name: frozenset({variable.name}) for variable in manifest.inputs}
    for segment in manifest.segments:
        reached |= {
            name: frozenset().union(*(reached.get(source, frozenset()) for source in sources))
            for name, sources in _sources(segment).items()
        }
    return frozenset(
        (variable.name, source)
        for variable in manifest.outputs
        for source in reached.get(variable.name, ())
    )


def _sources(segment: ForwardSegment | ImplicitSegment) -> dict[str, list[str]]:
    """What each variable that the segment computes depends on directly."""
    if isinstance(segment, ImplicitSegment):
        givens = [given.name for given in segment.givens]
        return {unknown.name: givens for unknown in segment.unknowns}
    if segment.input_derivatives is None:
        return {name: list(segment.inputs) for name in segment.outputs}
    pairs = segment.input_derivatives.pairs
    return {name: [pair.input for pair in pairs if pair.output == name] for name in segment.outputs}
