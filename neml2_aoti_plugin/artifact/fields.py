"""Typed getters over one JSON object, which know where in the file they stand.

Every field of the format is one line where it is read::

    role=fields.choice("role", Role)

and whatever is missing, mistyped or out of range raises an ArtifactError that gives the file, the
path inside it, what was found, what was expected and what to do.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, TypeGuard, TypeVar

from neml2_aoti_plugin.artifact.manifest import Shape
from neml2_aoti_plugin.errors import ArtifactError

RECOMPILE = "Recompile the model."

MAX_INTEGER = 2**31 - 1
MAX_ELEMENTS = 2**40
"""Bound on the product of a shape's extents, so that no later product can overflow 64 bits."""

MAX_AXES = 64
"""As many as tensors have at most. Products of far more extents would take for ever."""

MAX_NAMES = 1024
"""Bound on a list of variables, far above real ones: some lists hold every pair of two others."""

_MAX_SHOWN = 80

_EnumT = TypeVar("_EnumT", bound=enum.Enum)
_MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The file that a message names, and how that file spells keys renamed by upgrades."""

    file: Path
    old_spelling: Mapping[str, str] = field(default_factory=dict)


class Fields:
    """One JSON object of the metadata, at ``path`` (empty for the top level)."""

    __slots__ = ("_content", "_path", "_source")

    def __init__(self, content: Mapping[str, Any], source: Source, path: str = "") -> None:
        self._content = content
        self._source = source
        self._path = path

    # -- messages --------------------------------------------------------------------------------

    def where(self, key: str, *indices: int) -> str:
        """Path of a field, or of an element of it, in the file's own spelling."""
        key = self._source.old_spelling.get(key, key)
        dot = "." if self._path else ""
        return f"{self._path}{dot}{key}" + "".join(f"[{index}]" for index in indices)

    def error(self, key: str, expected: str, *, indices: tuple[int, ...] = ()) -> ArtifactError:
        """The error for a field that is not what it should be; the caller raises it."""
        value = self._content.get(key, _MISSING)
        if value is not _MISSING:
            for index in indices:
                value = value[index]
        found = "missing" if value is _MISSING else _shown(value)
        return ArtifactError(
            f"{self._source.file}: {self.where(key, *indices)} is {found}; "
            f"expected {expected}. {RECOMPILE}"
        )

    # -- presence --------------------------------------------------------------------------------

    def has(self, *keys: str) -> bool:
        """Whether any of the keys is there."""
        return any(key in self._content for key in keys)

    def is_null(self, key: str) -> bool:
        return key in self._content and self._content[key] is None

    # -- single values ---------------------------------------------------------------------------

    def text(self, key: str) -> str:
        value = self._content.get(key)
        if not _is_name(value):
            raise self.error(key, "a name")
        return value

    def optional_text(self, key: str) -> str | None:
        """A required field whose value may be null."""
        if self.is_null(key):
            return None
        value = self._content.get(key)
        if not _is_name(value):
            raise self.error(key, "a name or null")
        return value

    def name_among(self, key: str, known: Collection[str], what: str) -> str:
        """A name that must be one of ``known``, which ``what`` describes in the plural."""
        name = self.text(key)
        if name not in known:
            raise self.error(key, f"one of {what}: {enumeration(known)}")
        return name

    def choice(self, key: str, options: type[_EnumT]) -> _EnumT:
        value = self._content.get(key)
        for option in options:
            if isinstance(value, str) and option.value == value:
                return option
        raise self.error(key, f"one of {enumeration(option.value for option in options)}")

    def word(self, key: str, *options: str) -> str:
        """A choice that has no enumeration of its own."""
        value = self._content.get(key)
        if not isinstance(value, str) or value not in options:
            raise self.error(key, f"one of {enumeration(options)}" if options[1:] else options[0])
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self._content.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "true or false")
        return value

    def integer(self, key: str, *, minimum: int = 0, default: int | None = None) -> int:
        value = self._content.get(key, default)
        if not _is_integer(value) or not minimum <= value <= MAX_INTEGER:
            raise self.error(key, f"an integer from {minimum} to {MAX_INTEGER}")
        return value

    def number(self, key: str, *, above_zero: bool = False, or_infinite: bool = False) -> float:
        """A number that is not negative, and finite unless ``or_infinite``."""
        value = self._content.get(key)
        if _is_number(value):
            in_range = value > 0 if above_zero else value >= 0
            bounded = value <= _LARGEST_FLOAT or (or_infinite and value == math.inf)
            if in_range and bounded:
                return float(value)
        kind = "a positive number" if above_zero else "a number, zero or more"
        raise self.error(key, kind if or_infinite else f"{kind}, and finite")

    def graph(self, key: str) -> str:
        """Name of a graph file: bare, so that it cannot point out of the leaf."""
        name = self._content.get(key)
        if not _is_name(name) or not _is_bare_file_name(name):
            raise self.error(key, "the bare name of a graph file, without any folder")
        return name

    def optional_graph(self, key: str) -> str | None:
        return self.graph(key) if key in self._content else None

    # -- lists -----------------------------------------------------------------------------------

    def shape(self, key: str) -> Shape:
        value = self._content.get(key)
        if not isinstance(value, list) or not all(
            _is_integer(extent) and 0 <= extent <= MAX_INTEGER for extent in value
        ):
            raise self.error(key, f"a list of integers from 0 to {MAX_INTEGER}")
        if len(value) > MAX_AXES:
            raise self.error(key, f"a shape of at most {MAX_AXES} axes")
        # An extent of zero must not hide what the others amount to.
        if math.prod(extent or 1 for extent in value) > MAX_ELEMENTS:
            raise self.error(key, f"a shape of at most {MAX_ELEMENTS} elements")
        return tuple(value)

    def optional_shape(self, key: str) -> Shape:
        """A shape; ``()`` where the field is absent."""
        return self.shape(key) if key in self._content else ()

    def names(
        self, key: str, known: Collection[str] | None = None, what: str = ""
    ) -> tuple[str, ...]:
        """A list of distinct names, each of ``known`` if given."""
        distinct: dict[str, None] = {}
        for index, name in enumerate(self._list(key, "a list of names")):
            if not _is_name(name):
                raise self.error(key, "a name", indices=(index,))
            if name in distinct:
                raise self.error(key, "a name that is listed once only", indices=(index,))
            if known is not None and name not in known:
                raise self.error(key, f"one of {what}: {enumeration(known)}", indices=(index,))
            distinct[name] = None
        return tuple(distinct)

    def name_pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """A list of distinct pairs of names."""
        pairs = self._list(key, "a list of pairs of names")
        distinct: dict[tuple[str, str], None] = {}
        for index, pair in enumerate(pairs):
            if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_name, pair)):
                raise self.error(key, "a pair of names", indices=(index,))
            if tuple(pair) in distinct:
                raise self.error(key, "a pair that is listed once only", indices=(index,))
            distinct[pair[0], pair[1]] = None
        return tuple(distinct)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of numbers, of which the not finite ones are data like any other."""
        values = self._list(key, "a list of numbers")
        for index, value in enumerate(values):
            if not _is_number(value):
                raise self.error(key, "a number", indices=(index,))
            if isinstance(value, int) and abs(value) > _LARGEST_FLOAT:
                raise self.error(key, "a number that a float64 can hold", indices=(index,))
        return tuple(map(float, values))

    # -- objects ---------------------------------------------------------------------------------

    def object(self, key: str) -> Fields:
        value = self._content.get(key)
        if not isinstance(value, dict):
            raise self.error(key, "an object")
        return Fields(value, self._source, self.where(key))

    def optional_object(self, key: str) -> Fields | None:
        return self.object(key) if key in self._content else None

    def objects(self, key: str) -> tuple[Fields, ...]:
        values = self._list(key, "a list of objects")
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                raise self.error(key, "an object", indices=(index,))
        return tuple(
            Fields(value, self._source, self.where(key, index))
            for index, value in enumerate(values)
        )

    def name_map(self, key: str) -> Mapping[str, str]:
        """An object whose values are names; empty where it is absent."""
        if key not in self._content:
            return {}
        entries = self.object(key)
        return {name: entries.text(name) for name in entries._content}

    def named_objects(
        self, key: str, known: Collection[str] | None = None, what: str = ""
    ) -> tuple[Fields, ...]:
        """A list of objects with distinct names, each of ``known`` if given."""
        entries = self.objects(key)
        if len(entries) > MAX_NAMES:
            raise self.error(key, f"a list of at most {MAX_NAMES} objects")
        seen: set[str] = set()
        for entry in entries:
            name = entry.text("name")
            if name in seen:
                raise entry.error("name", f"a name that stands once in {self.where(key)}")
            if known is not None and name not in known:
                raise entry.error("name", f"one of {what}: {enumeration(known)}")
            seen.add(name)
        return entries

    def object_names(
        self, key: str, known: Collection[str] | None = None, what: str = ""
    ) -> tuple[str, ...]:
        """The names in a list of ``{"name": ...}``."""
        return tuple(entry.text("name") for entry in self.named_objects(key, known, what))

    # -- parts -----------------------------------------------------------------------------------

    def _list(self, key: str, expected: str) -> list[Any]:
        value = self._content.get(key)
        if not isinstance(value, list):
            raise self.error(key, expected)
        return value


def enumeration(names: Iterable[str], limit: int = 12) -> str:
    """Names for a message, cut after ``limit``; what is long or cannot be printed is escaped."""
    listed = list(names)
    shown = ", ".join(map(_shown_name, listed[:limit]))
    if len(listed) > limit:
        return f"{shown} and {len(listed) - limit} more"
    return shown or "(there are none)"


_LARGEST_FLOAT = 1.7976931348623157e308


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_name(value: object) -> TypeGuard[str]:
    """A string that is not empty and has a UTF-8 form (JSON can spell lone surrogates)."""
    if not isinstance(value, str) or not value:
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _is_bare_file_name(name: str) -> bool:
    forbidden = any(letter in name for letter in "/\\\0")
    return not forbidden and name not in (".", "..") and not PureWindowsPath(name).drive


def _shown(value: Any) -> str:
    """A found value for a message: words in quotes, the rest as JSON, cut to one short line."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, allow_nan=True)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def _shown_name(name: str) -> str:
    return name if name.isprintable() and len(name) <= _MAX_SHOWN else _shown(name)
