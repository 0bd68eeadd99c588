"""Applying an upgrade to the segments of one kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def is_implicit(segment: Any) -> bool:
    return isinstance(segment, dict) and segment.get("kind") == "implicit"


def map_implicit_segments(
    document: Mapping[str, Any], upgrade: Callable[[dict[str, Any]], dict[str, Any]]
) -> Any:
    """The value of ``segments`` with ``upgrade`` applied to each implicit one."""
    return _map_segments(document, "implicit", upgrade)


def map_forward_segments(
    document: Mapping[str, Any], upgrade: Callable[[dict[str, Any]], dict[str, Any]]
) -> Any:
    """The value of ``segments`` with ``upgrade`` applied to each forward one."""
    return _map_segments(document, "forward", upgrade)


def _map_segments(
    document: Mapping[str, Any], kind: str, upgrade: Callable[[dict[str, Any]], dict[str, Any]]
) -> Any:
    return map_objects(
        document.get("segments"),
        lambda segment: upgrade(segment) if segment.get("kind") == kind else segment,
    )


def map_objects(values: Any, upgrade: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """``values`` with ``upgrade`` applied to each element that is an object."""
    if not isinstance(values, list):
        return values
    return [upgrade(value) if isinstance(value, dict) else value for value in values]


def names_of(entries: Any) -> list[Any]:
    """``name`` of each element that is an object."""
    if not isinstance(entries, list):
        return []
    return [entry.get("name") for entry in entries if isinstance(entry, dict)]
