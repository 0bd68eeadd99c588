"""Base shapes by type, for releases that recorded the name of the type alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neml2_aoti_plugin.artifact.upgrades.segments import map_objects

_BASE_SHAPES: Mapping[str, tuple[int, ...]] = {
    "Scalar": (),
    "Vec": (3,),
    "WR2": (3,),
    "Rot": (3,),
    "MillerIndex": (3,),
    "SR2": (6,),
    "R2": (3, 3),
    "SSR4": (6, 6),
}
"""Every type that variables of neml2 3.0.0 to 3.0.3 can have."""


def with_base_shapes(entries: Any) -> Any:
    """Variable entries with ``base_shape`` filled in, null for a type that no release had."""
    return map_objects(entries, _with_base_shape)


def _with_base_shape(entry: dict[str, Any]) -> dict[str, Any]:
    type_name = entry.get("var_type")
    shape = _BASE_SHAPES.get(type_name) if isinstance(type_name, str) else None
    return {**entry, "base_shape": None if shape is None else list(shape)}
