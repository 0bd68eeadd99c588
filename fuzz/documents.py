"""Mutations of metadata: of the structure of a document, and of the text that it is written as."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from choices import Choices, one_of

MOST_MUTATIONS = 4

Place = tuple[Any, Any]
"""A container and the key or index of one value in it."""

_NUMBERS = (
    *(0, -1, 1, 2, 6, 255, 2**31 - 1, 2**31, 2**40, 2**63, -(2**63), 10**400),
    *(0.5, -0.0, 1e-320, 1.8e308, math.nan, math.inf, -math.inf),
)
_NAMES = (
    *("", " ", ".", "..", "../outside.pt2", "/etc/passwd", "a/b.pt2", "a\\b.pt2", "C:evil.pt2"),
    *("name\0with nul", "\x1b[2J", "\ud800", "ε_p", "応力", "\u202estrain", "a" * 70_000),
    *("strain", "stress", "forward", "implicit", "dense", "block", "float64", "cpu", "composed"),
    *("cpu:", "cpu:0", "cpu:one", "cuda"),
)
_CONTAINERS: tuple[Any, ...] = (
    *([], {}, [[]], [{}], [None], [0, 2**31 - 1], [2**31 - 1] * 4, [1] * 1000),
    *({"name": "strain"}, {"name": None}, [{"name": "strain"}] * 2, ["strain", "strain"]),
)
_PLAIN = (None, True, False)

_DEEP = "DEEP NESTING GOES HERE"
_DIGITS = "MANY DIGITS GO HERE"
_EXTENTS = "MANY EXTENTS GO HERE"
"""Written as strings, as the encoder would not write what takes their place."""

_DEPTHS = (20, 100, 950, 970, 985, 990, 1000, 5000)


def mutated(document: dict[str, Any], choices: Choices) -> bytes:
    """Metadata that are like ``document`` but for a few mutations."""
    changed = copy.deepcopy(document)
    for _ in range(1 + choices.below(MOST_MUTATIONS)):
        places = list(_places(changed))
        if not places:
            break
        one_of(choices, _STRUCTURAL)(places, choices)
    return _textual(_written(changed, choices), choices)


def _places(value: Any) -> Iterator[Place]:
    """All values inside of ``value``."""
    keys: Any = ()
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    for key in keys:
        yield value, key
        yield from _places(value[key])


# -- structure -----------------------------------------------------------------------------------


def _delete(places: list[Place], choices: Choices) -> None:
    container, key = one_of(choices, places)
    del container[key]


def _replace(places: list[Place], choices: Choices) -> None:
    container, key = one_of(choices, places)
    kind = one_of(choices, (_NUMBERS, _NAMES, _CONTAINERS, _PLAIN, (_DEEP, _DIGITS, _EXTENTS)))
    container[key] = copy.deepcopy(one_of(choices, kind))


def _copy_from_elsewhere(places: list[Place], choices: Choices) -> None:
    source, source_key = one_of(choices, places)
    container, key = one_of(choices, places)
    container[key] = copy.deepcopy(source[source_key])


def _repeat(places: list[Place], choices: Choices) -> None:
    container, key = one_of(choices, places)
    if isinstance(container, list):
        container.insert(choices.below(len(container) + 1), copy.deepcopy(container[key]))


def _reorder(places: list[Place], choices: Choices) -> None:
    container, key = one_of(choices, places)
    if isinstance(container, list):
        container.append(container.pop(key))


def _rename(places: list[Place], choices: Choices) -> None:
    container, key = one_of(choices, places)
    other, other_key = one_of(choices, places)
    if isinstance(container, dict):
        value = container.pop(key)
        container[other_key if isinstance(other, dict) else one_of(choices, _NAMES)] = value


def _nudge(places: list[Place], choices: Choices) -> None:
    container, key = one_of(choices, places)
    value = container[key]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        container[key] = one_of(
            choices,
            (value + 1, value - 1, -value, value * 0.5 if abs(value) < 2**60 else 0.5, bool(value)),
        )
    elif isinstance(value, str):
        container[key] = one_of(choices, (value.upper(), value + " ", value[1:], [value]))


_STRUCTURAL: tuple[Callable[[list[Place], Choices], None], ...] = (
    *(_delete, _replace, _replace, _copy_from_elsewhere),
    *(_repeat, _reorder, _rename, _nudge),
)


# -- text ----------------------------------------------------------------------------------------


def _written(document: dict[str, Any], choices: Choices) -> bytes:
    text = json.dumps(document)
    if _DEEP in text:
        depth = one_of(choices, _DEPTHS)
        opening, closing = one_of(choices, (("[", "]"), ('{"a":', "}")))
        text = text.replace(f'"{_DEEP}"', opening * depth + "0" + closing * depth)
    text = text.replace(f'"{_DIGITS}"', "9" * (1 + choices.below(6000)) if _DIGITS in text else "")
    if _EXTENTS in text:
        text = text.replace(f'"{_EXTENTS}"', "[2147483647" + ",2147483647" * 200_000 + "]")
    return text.encode()


def _textual(content: bytes, choices: Choices) -> bytes:
    """Mostly as it is; now and then cut, with other bytes in it, or with a key twice."""
    position = choices.below(len(content) + 1)
    kind = choices.below(24)
    if kind == 0:
        return content[:position]
    if kind == 1:
        return content[:position] + bytes([choices.below(256)]) + content[position + 1 :]
    if kind == 2:
        return content[:position] + content[position // 2 :]
    if kind == 3:
        return content.replace(b"{", b'{"name": "twice", ', 1 + choices.below(4))
    if kind == 4:
        return b"\xef\xbb\xbf" + content
    return content
