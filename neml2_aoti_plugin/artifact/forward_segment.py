"""Reads a forward segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath

from neml2_aoti_plugin.artifact.fields import Fields
from neml2_aoti_plugin.artifact.manifest import (
    ForwardSegment,
    InputDerivativeGraph,
    InputPair,
    ParameterAdjointGraph,
    ParameterDerivativeGraph,
)
from neml2_aoti_plugin.artifact.pairs import PairSides, read_input_pairs, read_parameter_pairs
from neml2_aoti_plugin.artifact.scope import Scope
from neml2_aoti_plugin.artifact.variables import read_base_shape

AVAILABLE = "the master inputs and the outputs of earlier segments"


def read_forward_segment(fields: Fields, scope: Scope) -> ForwardSegment:
    value = fields.graph("package")
    inputs = fields.object_names("inputs", scope.available, AVAILABLE)
    outputs = fields.object_names("outputs")
    parameters = fields.names("param_inputs", scope.parameters, "the promoted parameters")
    segment = ForwardSegment(
        label=PurePath(value).stem,
        value=value,
        inputs=inputs,
        outputs=outputs,
        parameters=parameters,
        stored_parameters=fields.boolean("stored_parameters", default=False),
        input_derivatives=_read_input_derivatives(fields, scope, inputs, outputs),
        parameter_derivatives=_read_parameter_derivatives(fields, scope, parameters, outputs),
        parameter_adjoint=_read_parameter_adjoint(fields, parameters, outputs),
    )
    scope.provide(outputs)
    return segment


def _read_input_derivatives(
    fields: Fields, scope: Scope, inputs: Sequence[str], outputs: Sequence[str]
) -> InputDerivativeGraph | None:
    if fields.boolean("stacked_jacobian", default=False):
        return InputDerivativeGraph(
            graph=fields.graph("jvp_package"), pairs=_all_pairs(fields, scope), stacked=True
        )
    if not fields.has("jvp_package", "jacobian_pairs"):
        return None
    sides = PairSides(
        outputs={name: scope.base_shapes.get(name) for name in outputs},
        columns={name: scope.base_shapes.get(name) for name in inputs},
    )
    return InputDerivativeGraph(
        graph=fields.graph("jvp_package"), pairs=read_input_pairs(fields, sides)
    )


def _all_pairs(fields: Fields, scope: Scope) -> tuple[InputPair, ...]:
    """Every output by every input, placed as in the one matrix that the graph returns."""
    pairs = []
    row = 0
    for output in fields.objects("outputs"):
        output_base_shape = read_base_shape(output, scope)
        column = 0
        for input_ in fields.objects("inputs"):
            input_base_shape = read_base_shape(input_, scope)
            pairs.append(
                InputPair(
                    output=output.text("name"),
                    input=input_.text("name"),
                    output_base_shape=output_base_shape,
                    input_base_shape=input_base_shape,
                    input_sub_batch_shape=(),
                    batch_independent=False,
                    row_offset=row,
                    column_offset=column,
                )
            )
            column += math.prod(input_base_shape)
        row += math.prod(output_base_shape)
    return tuple(pairs)


def _read_parameter_derivatives(
    fields: Fields, scope: Scope, parameters: Sequence[str], outputs: Sequence[str]
) -> ParameterDerivativeGraph | None:
    if not fields.has("param_jacobian_package", "param_jacobian_pairs"):
        return None
    sides = PairSides(
        outputs={name: scope.base_shapes.get(name) for name in outputs},
        columns={name: scope.parameters[name].base_shape for name in parameters},
    )
    return ParameterDerivativeGraph(
        graph=fields.graph("param_jacobian_package"), pairs=read_parameter_pairs(fields, sides)
    )


def _read_parameter_adjoint(
    fields: Fields, parameters: Sequence[str], outputs: Sequence[str]
) -> ParameterAdjointGraph | None:
    if not fields.has("param_vjp_package", "param_vjp_params", "param_vjp_outputs"):
        return None
    return ParameterAdjointGraph(
        graph=fields.graph("param_vjp_package"),
        parameters=fields.names("param_vjp_params", parameters, "the param_inputs of the segment"),
        outputs=fields.names("param_vjp_outputs", outputs, "the outputs of the segment"),
    )
