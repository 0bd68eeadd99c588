"""Schema 3 (neml2 3.0.3) to 7.

Version 7 made derivatives a request, gave forward graphs one parameter value per row, and left the
Newton settings to the stub. A file of version 3 offers every derivative with respect to an input;
its forward graphs take parameters at their stored shape, in the order of tracing; each implicit
segment has its own settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neml2_aoti_plugin.artifact.fields import MAX_NAMES
from neml2_aoti_plugin.artifact.upgrades.base_shapes import with_base_shapes
from neml2_aoti_plugin.artifact.upgrades.segments import (
    map_forward_segments,
    map_implicit_segments,
    map_objects,
    names_of,
)


def upgrade(document: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(document)
    result["schema_version"] = 7
    for key in ("inputs", "outputs"):
        if key in document:
            result[key] = with_base_shapes(document[key])
    if "parameters" in document:
        result["parameters"] = map_objects(document["parameters"], _parameter)
    if "segments" in document:
        result["segments"] = map_forward_segments(document, _forward_segment)
        result["segments"] = map_implicit_segments(result, _implicit_segment)
    result["derivatives"] = _all_pairs(document.get("outputs"), document.get("inputs"))
    result["parameter_derivatives"] = []
    return result


def _all_pairs(outputs: Any, inputs: Any) -> list[list[Any]]:
    """None for lists that the reader refuses for their length: their pairs would fill memory."""
    names = names_of(outputs), names_of(inputs)
    if max(map(len, names)) > MAX_NAMES:
        return []
    return [[output, input_] for output in names[0] for input_ in names[1]]


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    return {**parameter, "param_base_shape": parameter.get("shape")}


def _forward_segment(segment: dict[str, Any]) -> dict[str, Any]:
    return {**segment, "stored_parameters": True}


def _implicit_segment(segment: dict[str, Any]) -> dict[str, Any]:
    return {**segment, "cell_sensitivity": True}
