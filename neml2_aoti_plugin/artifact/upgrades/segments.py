"""Applying an upgrade to the implicit segments of a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def is_implicit(segment: Any) -> bool:
    return isinstance(segment, dict) and segment.get("kind") == "implicit"


def map_implicit_segments(
    document: Mapping[str, Any], upgrade: Callable[[dict[str, Any]], dict[str, Any]]
) -> Any:
    """The value of ``segments`` with ``upgrade`` applied to each implicit one."""
    segments = document.get("segments")
    if not isinstance(segments, list):
        return segments
    return [upgrade(segment) if is_implicit(segment) else segment for segment in segments]


def map_objects(values: Any, upgrade: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """``values`` with ``upgrade`` applied to each element that is an object."""
    if not isinstance(values, list):
        return values
    return [upgrade(value) if isinstance(value, dict) else value for value in values]
