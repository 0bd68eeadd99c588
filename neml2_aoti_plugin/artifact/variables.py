"""Master inputs and outputs, promoted parameters, and the names that callers see."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from neml2_aoti_plugin.artifact.fields import Fields, enumeration
from neml2_aoti_plugin.artifact.manifest import Parameter, Shape, Variable
from neml2_aoti_plugin.artifact.scope import Scope

_STORED_DTYPES = ("int64", "int32", "bool")


def _public_names(root: Fields, kind: str, names: Sequence[str]) -> Mapping[str, str]:
    """Authored to public name of ``kind`` (inputs, outputs or parameters), for all ``names``."""
    aliases = root.optional_object("boundary_aliases")
    renamed = {} if aliases is None else aliases.name_map(kind)
    public = {name: renamed.get(name, name) for name in names}
    if aliases is not None:
        _check_aliases(aliases, kind, renamed, public)
    return public


def _check_aliases(
    aliases: Fields, kind: str, renamed: Mapping[str, str], public: Mapping[str, str]
) -> None:
    taken = Counter(public.values())
    for name, alias in renamed.items():
        if name not in public:
            raise aliases.error(kind, f"keys that are names of {kind}: {enumeration(public)}")
        if taken[alias] > 1:
            raise aliases.object(kind).error(name, f"a name that no other of the {kind} has")


def read_variables(root: Fields, kind: str, scope: Scope) -> tuple[Variable, ...]:
    """The master ``inputs`` or ``outputs``."""
    entries = root.named_objects(kind)
    public = _public_names(root, kind, [entry.text("name") for entry in entries])
    return tuple(_read_variable(entry, public, scope, kind == "inputs") for entry in entries)


def _read_variable(
    fields: Fields, public: Mapping[str, str], scope: Scope, is_input: bool
) -> Variable:
    name = fields.text("name")
    type_name = fields.text("var_type")
    return Variable(
        name=name,
        public_name=public[name],
        type_name=type_name,
        base_shape=read_base_shape(fields, scope),
        # Outputs never carry it, even where they have sub-batch axes.
        sub_batch_shape=fields.optional_shape("sub_batch_shape") if is_input else None,
    )


def read_base_shape(fields: Fields, scope: Scope) -> Shape:
    """Base shape of a variable that is given with its type."""
    fields.text("var_type")
    if fields.is_null("base_shape"):
        raise fields.error("var_type", "a type of the release that wrote the file")
    base_shape = scope.base_shapes.read(fields, fields.text("name"))
    # This size leaves the sub-batch out.
    if fields.integer("var_size") != math.prod(base_shape):
        raise fields.error("var_size", f"{math.prod(base_shape)}, the product of base_shape")
    return base_shape


def read_parameters(root: Fields) -> tuple[Parameter, ...]:
    entries = root.named_objects("parameters")
    public = _public_names(root, "parameters", [entry.text("name") for entry in entries])
    return tuple(_read_parameter(entry, public) for entry in entries)


def _read_parameter(fields: Fields, public: Mapping[str, str]) -> Parameter:
    name = fields.text("name")
    shape = fields.shape("shape")
    base_shape = fields.shape("param_base_shape")
    values = fields.numbers("values")
    dtype = fields.word("dtype", *_STORED_DTYPES) if fields.has("dtype") else None
    if base_shape != shape[len(shape) - len(base_shape) :]:
        raise fields.error("param_base_shape", f"the last extents of shape {list(shape)}")
    if len(values) != math.prod(shape):
        raise fields.error("values", f"a list of length {math.prod(shape)}, the product of shape")
    if dtype is not None and not all(value.is_integer() for value in values):
        raise fields.error("values", f"whole numbers, as dtype is {dtype}")
    return Parameter(
        name=name,
        public_name=public[name],
        shape=shape,
        base_shape=base_shape,
        values=values,
        dtype=dtype,
    )
