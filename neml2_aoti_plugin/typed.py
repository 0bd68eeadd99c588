"""The typed boundary of a compiled model: the host's wrappers outside, plain tensors inside.

A wrapper holds a tensor of shape ``(*batch, *sub_batch, *base)`` and the number of its sub-batch
axes. The base axes follow from the type, the sub-batch axes of an input from the artifact; what is
left is batch. Nothing is computed here: values pass through untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import neml2.types as host_types
import torch

from neml2_aoti_plugin.artifact.manifest import (
    Manifest,
    Shape,
    Variable,
    model_label,
    sub_batch_shapes_inside,
)
from neml2_aoti_plugin.errors import InputError, InputTypeError

WrapperClass: TypeAlias = type[Any]
"""A subclass of the host's ``TensorWrapper``."""

# The host renamed this type between releases; storage and base shape are the same.
_ALIASES = {"Rot": "MRP", "MRP": "Rot"}


def wrapper_class(variable: Variable) -> WrapperClass:
    """The host's class for the type of ``variable``.

    Raises :class:`TypeError` where the host knows no such type.
    """
    for type_name in (variable.type_name, _ALIASES.get(variable.type_name)):
        found = getattr(host_types, type_name, None) if type_name else None
        if isinstance(found, type) and issubclass(found, host_types.TensorWrapper):
            return found
    raise TypeError(
        f"variable '{variable.public_name}' has the type '{variable.type_name}', which the "
        "installed neml2 does not define in neml2.types. Recompile the model with the installed "
        "neml2."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedVariable:
    """An input or output of the typed call."""

    name: str
    wrapper: WrapperClass
    sub_batch_shape: Shape | None
    """``None`` where only a value can tell."""

    @property
    def base_ndim(self) -> int:
        return int(self.wrapper.BASE_NDIM)

    @property
    def shape_text(self) -> str:
        sizes = (*(self.sub_batch_shape or ()), *self.wrapper.BASE_SHAPE)
        return f"({', '.join(['*batch', *map(str, sizes)])})"


class TypedBoundary:
    """Order, types and sub-batch axes of everything that crosses the typed call of one model."""

    def __init__(self, manifest: Manifest) -> None:
        inner = sub_batch_shapes_inside(manifest)
        self.label = model_label(manifest)
        self.inputs = tuple(
            typed_variable(variable, variable.sub_batch_shape or ()) for variable in manifest.inputs
        )
        self.outputs = tuple(
            typed_variable(variable, variable.sub_batch_shape or inner.get(variable.name))
            for variable in manifest.outputs
        )
        self._parameter_base_ndims = {
            parameter.public_name: len(parameter.base_shape) for parameter in manifest.parameters
        }

    def unwrap(self, values: Sequence[object]) -> dict[str, torch.Tensor]:
        """Plain tensors by input name from ``values``, wrappers or plain tensors in input order.

        Raises :class:`InputTypeError` for a wrong number or type of values, :class:`InputError` for
        a wrapper that is a tangent or whose sub-batch axes are not those of the compiled model.
        """
        if len(values) != len(self.inputs):
            names = ", ".join(f"'{variable.name}'" for variable in self.inputs)
            raise InputTypeError(
                f"compiled model '{self.label}': {len(values)} inputs were passed, expected "
                f"{len(self.inputs)} in this order: {names}."
            )
        return {
            variable.name: self._unwrap_one(variable, value)
            for variable, value in zip(self.inputs, values, strict=True)
        }

    def wrap(self, values: Mapping[str, torch.Tensor], batch: Shape) -> tuple[Any, ...]:
        """Typed outputs, in order, from plain tensors whose batch axes broadcast to ``batch``."""
        return tuple(
            variable.wrapper(
                values[variable.name],
                sub_batch_ndim=_sub_batch_ndim(variable, values[variable.name], batch),
            )
            for variable in self.outputs
        )

    def batch(
        self, inputs: Mapping[str, torch.Tensor], parameters: Mapping[str, torch.Tensor]
    ) -> Shape:
        """The batch shape of a call: that of its inputs and promoted parameters, broadcast."""
        trailing = {
            variable.name: len(variable.sub_batch_shape or ()) + variable.base_ndim
            for variable in self.inputs
        }
        shapes = [
            tuple(value.shape)[: value.ndim - ndim]
            for values, ndims in ((inputs, trailing), (parameters, self._parameter_base_ndims))
            for name, ndim in ndims.items()
            for value in (values[name],)
        ]
        return tuple(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]

    def _unwrap_one(self, variable: TypedVariable, value: object) -> torch.Tensor:
        where = f"compiled model '{self.label}': input '{variable.name}'"
        if isinstance(value, torch.Tensor):
            return value
        if not isinstance(value, variable.wrapper):
            raise InputTypeError(
                f"{where} is a {type(value).__name__}, expected a "
                f"neml2.types.{variable.wrapper.__name__} or a torch.Tensor. Wrap the tensor as "
                f"{variable.wrapper.__name__}(tensor)."
            )
        wrapper: Any = value
        if wrapper.k_ndim:
            raise InputError(
                f"{where} is a tangent with {wrapper.k_ndim} seed axes, expected a value. Pass the "
                "value alone; derivatives come from jvp() and jacobian()."
            )
        expected = variable.sub_batch_shape or ()
        if wrapper.sub_batch_ndim != len(expected):
            raise InputError(
                f"{where} has {wrapper.sub_batch_ndim} sub-batch axes and the shape "
                f"{tuple(wrapper.shape)}, expected {len(expected)} and {variable.shape_text}. Pass "
                f"{variable.wrapper.__name__}(tensor, sub_batch_ndim={len(expected)})."
            )
        if "broadcast" in wrapper.sub_batch_state:
            wrapper = wrapper.materialize()
        tensor: torch.Tensor = wrapper.data
        return tensor


def typed_variable(variable: Variable, sub_batch_shape: Shape | None) -> TypedVariable:
    """``variable`` with the host's class for it.

    Raises :class:`TypeError` where the host knows no such type, or knows it with another base
    shape than the artifact: wrapped values would be misread.
    """
    wrapper = wrapper_class(variable)
    if tuple(wrapper.BASE_SHAPE) != variable.base_shape:
        raise TypeError(
            f"variable '{variable.public_name}' has the type '{variable.type_name}' and the base "
            f"shape {variable.base_shape}, but {wrapper.__name__} of the installed neml2 has "
            f"{tuple(wrapper.BASE_SHAPE)}. Recompile the model with the installed neml2."
        )
    return TypedVariable(
        name=variable.public_name, wrapper=wrapper, sub_batch_shape=sub_batch_shape
    )


def _sub_batch_ndim(variable: TypedVariable, value: torch.Tensor, batch: Shape) -> int:
    if variable.sub_batch_shape is not None:
        return len(variable.sub_batch_shape)
    leading = tuple(value.shape)[: value.ndim - variable.base_ndim]
    return len(leading) - natural_batch_ndim(leading, batch)


def natural_batch_ndim(leading: Shape, batch: Shape) -> int:
    """How many axes of ``leading = (*own_batch, *sub_batch)`` are batch: the most that broadcast to
    the batch of the call."""
    for ndim in range(min(len(leading), len(batch)), 0, -1):
        own = leading[:ndim]
        if all(size in (1, full) for size, full in zip(own, batch[-ndim:], strict=True)):
            return ndim
    return 0
