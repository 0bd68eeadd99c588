"""Schema 2 (neml2 3.0.0 to 3.0.2) to 3.

Version 3 stored variables in groups, returned the Newton direction and one derivative block per
pair. A file of version 2 has one flat vector per side, which is one dense group; its derivative
graphs return one matrix, and its step graph the next iterate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neml2_aoti_plugin.artifact.upgrades.base_shapes import with_base_shapes
from neml2_aoti_plugin.artifact.upgrades.segments import (
    map_forward_segments,
    map_implicit_segments,
    map_objects,
    names_of,
)

OLD_SPELLING = {"base_shape": "unflattened_shape"}


def upgrade(document: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(document)
    result["schema_version"] = 3
    if "segments" in document:
        result["segments"] = map_implicit_segments(document, _implicit_segment)
        result["segments"] = map_forward_segments(result, _forward_segment)
    return result


def _forward_segment(segment: dict[str, Any]) -> dict[str, Any]:
    result = {**segment, "stacked_jacobian": True}
    for key in ("inputs", "outputs"):
        if key in segment:
            result[key] = with_base_shapes(segment[key])
    return result


def _implicit_segment(segment: dict[str, Any]) -> dict[str, Any]:
    result = {**segment, "step_returns_iterate": True}
    for key in ("unknowns", "givens"):
        if key in segment:
            result[key] = map_objects(segment[key], _slot)
    # Residuals have no names in the file, and nobody needs them: the k-th is that of unknown k.
    result["residuals"] = map_objects(result.get("unknowns"), _residual)
    for kind, key in (("unknown", "unknowns"), ("given", "givens"), ("residual", "residuals")):
        result[f"{kind}_group_infos"] = [_group(result.get(key))]
    result["ift_cells"] = [
        {
            "row_group_idx": 0,
            "col_group_idx": 0,
            "row_structure": "dense",
            "col_structure": "dense",
            "sub_batch_shape": [],
            "row_vars": result.get("unknowns"),
            "col_vars": result.get("givens"),
        }
    ]
    return result


def _slot(entry: dict[str, Any]) -> dict[str, Any]:
    """The file gives sub-batch and base shape in one; these releases could solve for no unknown
    with sub-batch axes."""
    result = {**entry, "sub_batch_shape": []}
    if "unflattened_shape" in entry:
        result["base_shape"] = entry["unflattened_shape"]
    return result


def _residual(unknown: dict[str, Any]) -> dict[str, Any]:
    return {**unknown, "name": f"residual of {unknown.get('name')}"}


def _group(slots: Any) -> dict[str, Any]:
    return {
        "structure": "dense",
        "sub_batch_shape": [],
        "var_names": names_of(slots),
        "per_var_info": slots,
    }
