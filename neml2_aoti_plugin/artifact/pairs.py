"""Lists that say which derivative blocks a graph returns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from neml2_aoti_plugin.artifact.fields import Fields
from neml2_aoti_plugin.artifact.manifest import InputPair, ParameterPair, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSides:
    """What the two sides of a segment's pairs may be, with base shapes where they are known."""

    outputs: Mapping[str, Shape | None]
    columns: Mapping[str, Shape | None]
    row_total: int | None = None
    """Rows of the flat derivative that offsets point into; ``None`` where there are no offsets."""
    column_total: int | None = None


def read_input_pairs(fields: Fields, sides: PairSides) -> tuple[InputPair, ...]:
    """``jacobian_pairs``, in the order of the graph's outputs."""
    pairs = tuple(_read_input_pair(entry, sides) for entry in fields.objects("jacobian_pairs"))
    _check_distinct(fields, "jacobian_pairs", [(pair.output, pair.input) for pair in pairs])
    return pairs


def read_parameter_pairs(fields: Fields, sides: PairSides) -> tuple[ParameterPair, ...]:
    """``param_jacobian_pairs``, in the order of the graph's outputs."""
    key = "param_jacobian_pairs"
    pairs = tuple(_read_parameter_pair(entry, sides) for entry in fields.objects(key))
    _check_distinct(fields, key, [(pair.output, pair.parameter) for pair in pairs])
    return pairs


def _read_input_pair(fields: Fields, sides: PairSides) -> InputPair:
    output = fields.name_among("out_var", sides.outputs, "the outputs of the segment")
    input_ = fields.name_among("in_var", sides.columns, "the inputs of the segment")
    output_base_shape = _base_shape(fields, "out_base_shape", sides.outputs[output])
    input_base_shape = _base_shape(fields, "in_base_shape", sides.columns[input_])
    return InputPair(
        output=output,
        input=input_,
        output_base_shape=output_base_shape,
        input_base_shape=input_base_shape,
        input_sub_batch_shape=fields.shape("in_sub_batch_shape"),
        batch_independent=fields.boolean("batch_independent", default=False),
        row_offset=_offset(fields, "row_offset", output_base_shape, sides.row_total),
        column_offset=_offset(fields, "col_offset", input_base_shape, sides.column_total),
    )


def _read_parameter_pair(fields: Fields, sides: PairSides) -> ParameterPair:
    output = fields.name_among("out_var", sides.outputs, "the outputs of the segment")
    parameter = fields.name_among("param", sides.columns, "the param_inputs of the segment")
    output_base_shape = _base_shape(fields, "out_base_shape", sides.outputs[output])
    parameter_base_shape = _base_shape(fields, "param_base_shape", sides.columns[parameter])
    return ParameterPair(
        output=output,
        parameter=parameter,
        output_base_shape=output_base_shape,
        parameter_base_shape=parameter_base_shape,
        row_offset=_offset(fields, "row_offset", output_base_shape, sides.row_total),
        column_offset=_offset(fields, "col_offset", parameter_base_shape, sides.column_total),
    )


def _base_shape(fields: Fields, key: str, known: Shape | None) -> Shape:
    shape = fields.shape(key)
    if known is not None and shape != known:
        raise fields.error(key, f"{list(known)}, as declared for that name")
    return shape


def _offset(fields: Fields, key: str, shape: Shape, total: int | None) -> int:
    offset = fields.integer(key, default=0)
    if total is not None and offset + math.prod(shape) > total:
        raise fields.error(key, f"at most {total - math.prod(shape)}, as the block must fit")
    return offset


def _check_distinct(fields: Fields, key: str, pairs: list[tuple[str, str]]) -> None:
    seen: set[tuple[str, str]] = set()
    for index, pair in enumerate(pairs):
        if pair in seen:
            raise fields.error(key, "a pair that is listed once only", indices=(index,))
        seen.add(pair)
