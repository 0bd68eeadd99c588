"""What a compiled graph takes, read off the source that lies beside its library.

The compiler generates checks of the arguments into the source, which run only where an environment
variable asks for them. Per argument, as far as its shape is fixed::

    inputs_info_[0].name = "arg7_1";
    int32_t arg7_1_expected_dtype = aoti_torch_dtype_float64();
    if (arg7_1_size[0] < 2) {          an extent that may vary
    if (6 != arg7_1_size[1]) {         a fixed extent
    if (6 != arg7_1_stride[0]) {

Compilers of other versions may write something else: what is not understood is unknown, never
wrong.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

Extents: TypeAlias = tuple[int | None, ...]
"""A shape as traced; ``None`` for an extent that may vary."""

_NAME = re.compile(r'\binputs_info_\[(\d{1,9})\]\.name = "(\w+)";')
_DTYPE = re.compile(r"\b(\w+)_expected_dtype = aoti_torch_dtype_(\w+)\(\);")
_FIXED = re.compile(r"\bif \((\d{1,18})L? != (\w+)_size\[(\d{1,9})\]\)")
_VARYING = re.compile(r"\bif \((\w+)_size\[(\d{1,9})\] [<>] \d+L?\)")
_STRIDE = re.compile(r"\bif \(\d+L? != (\w+)_stride\[(\d{1,9})\]\)")
_CALL_SPEC = re.compile(r'\bin_spec_ = R"\(')
_CALL_SPEC_END = ')";'


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphArgument:
    dtype: str
    shape: Extents
    type_name: str | None = None
    """Class in ``neml2.types`` that the argument was traced as; ``None`` for a plain tensor, or
    where the source does not say."""


def read_arguments(source: str) -> tuple[GraphArgument, ...] | None:
    """The arguments of the graph in order; ``None`` where ``source`` does not tell."""
    source = "\n".join(line for line in source.splitlines() if _is_of_interest(line))
    names = {int(index): name for index, name in _NAME.findall(source)}
    if not names or sorted(names) != list(range(len(names))):
        return None
    dtypes = dict(_DTYPE.findall(source))
    extents = _read_extents(source)
    types = _read_type_names(source, len(names))
    arguments = []
    for index, type_name in enumerate(types):
        name = names[index]
        shape = extents.get(name, {})
        if name not in dtypes or sorted(shape) != list(range(len(shape))):
            return None
        arguments.append(
            GraphArgument(
                dtype=dtypes[name],
                shape=tuple(shape[axis] for axis in range(len(shape))),
                type_name=type_name,
            )
        )
    return tuple(arguments)


def _is_of_interest(line: str) -> bool:
    """The patterns above are slow on a whole file."""
    return (
        line.lstrip().startswith("if (")
        or "_expected_dtype = " in line
        or "inputs_info_[" in line
        or "in_spec_ = " in line
    )


def _read_extents(source: str) -> dict[str, dict[int, int | None]]:
    """By argument and axis."""
    extents: dict[str, dict[int, int | None]] = {}
    for name, axis in _STRIDE.findall(source):
        extents.setdefault(name, {})[int(axis)] = None
    for name, axis in _VARYING.findall(source):
        extents.setdefault(name, {})[int(axis)] = None
    for extent, name, axis in _FIXED.findall(source):
        extents.setdefault(name, {})[int(axis)] = int(extent)
    return extents


def _read_type_names(source: str, count: int) -> list[str | None]:
    """Class names of the arguments, where the call was recorded as ``count`` separate ones."""
    unknown: list[str | None] = [None] * count
    found = _CALL_SPEC.search(source)
    if found is None:
        return unknown
    try:
        # A version, and a tree: ((arguments), {keywords}).
        tree = json.loads(source[found.end() : source.index(_CALL_SPEC_END, found.end())])[1]
        leaves = [leaf for child in tree["children_spec"] for leaf in _leaves(child, None)]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return unknown
    return leaves if len(leaves) == count else unknown


def _leaves(tree: Any, type_name: str | None) -> list[str | None]:
    """For every tensor of a call the class of ``neml2.types`` around it."""
    kind, children = tree["type"], tree["children_spec"]
    if kind is None:
        return [type_name]
    if kind.startswith("neml2.types."):
        type_name = kind.removeprefix("neml2.types.")
    return [leaf for child in children for leaf in _leaves(child, type_name)]
