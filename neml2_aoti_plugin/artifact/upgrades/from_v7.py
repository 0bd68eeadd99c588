"""Schema 7 (neml2 3.0.4 to 3.0.6) to 12.

Version 12 split each solve into an operator and a solve graph, recorded the Newton settings, the
roles of givens for substepping, and took guesses from the caller. What 7 has instead is said with
the extra keys of the canonical dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neml2_aoti_plugin.artifact.upgrades.segments import (
    is_implicit,
    map_implicit_segments,
    map_objects,
)

OLD_SPELLING = {"residual_package": "rhs_package"}

_FLOATING_DTYPES = ("float64", "float32", "float16", "bfloat16")

_DEFAULT_SOLVER = {
    "atol": 1e-10,
    "rtol": 1e-8,
    "miters": 25,
    "ls_type": "BACKTRACKING",
    "ls_max_iters": 1,
    "ls_cutback": 2.0,
    "ls_c": 1e-3,
    "solver_kind": "direct",
}
"""The settings of 7 are in the stub's ``[Solvers]``; these hold where it is not read."""


def upgrade(document: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(document)
    result["schema_version"] = 12
    if "segments" in document:
        result["segments"] = map_implicit_segments(document, _implicit_segment)
    if "parameters" in document:
        result["parameters"] = map_objects(document["parameters"], _parameter)
    segments = document.get("segments")
    if isinstance(segments, list) and any(is_implicit(segment) for segment in segments):
        result["solver_config"] = dict(_DEFAULT_SOLVER)
    return result


def _implicit_segment(segment: dict[str, Any]) -> dict[str, Any]:
    result = dict(segment)
    for new, old in OLD_SPELLING.items():
        result.pop(new, None)
        if old in result:
            result[new] = result.pop(old)
    if "givens" in segment:
        result["givens"] = map_objects(
            segment["givens"], lambda given: {**given, "role": "static", "pair": None}
        )
    result["fused_solve"] = True
    result["initial_guess"] = "zero"
    result["max_substepping_level"] = 0
    result["incremental_variables"] = []
    return result


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """Version 12 names only the dtypes that are not floating, and no device."""
    result = dict(parameter)
    result.pop("device", None)
    if result.get("dtype") in _FLOATING_DTYPES:
        del result["dtype"]
    return result
