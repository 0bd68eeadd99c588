"""The host's first-order chain rule through a compiled model, from its Jacobian blocks.

A native model that is given tangents ``dx`` of its inputs beside their values returns the tangents

    ``dy = sum over inputs x of (dy/dx) dx``

of its outputs, for every seed apart. Seeds are names that the host chooses; the tangents of one
seed say how the inputs move together. The host's wrapper of a tangent has the shape ``(*seed_axes,
*batch, *base)``: the seed axes, ``k_ndim`` of them, count directions, and batch axes are aligned
from the right, as those of values are. Sub-batched variables take no part, as the artifact holds
no blocks between different sites.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from neml2_aoti_plugin.artifact.dependence import dependent_pairs
from neml2_aoti_plugin.artifact.manifest import Manifest, Shape
from neml2_aoti_plugin.errors import (
    DerivativeNotCompiledError,
    InputError,
    InputTypeError,
    UnsupportedFeatureError,
)
from neml2_aoti_plugin.typed import TypedBoundary, TypedVariable

Blocks: TypeAlias = Mapping[str, Mapping[str, torch.Tensor]]
"""``blocks[output][input]``: ``(*batch, *output_base, *input_base)``, or without batch axes."""

TypedTangents: TypeAlias = dict[str, dict[str, Any]]
"""The host's wrappers by variable and seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tangent:
    """How one variable moves under one seed."""

    columns: torch.Tensor
    """``(*batch, components, directions)``: the base axes as one, and the seed axes as one."""
    seed_shape: Shape

    @property
    def batch(self) -> Shape:
        return tuple(self.columns.shape[:-2])


Tangents: TypeAlias = dict[str, dict[str, Tangent]]
"""By input and seed; inputs without any are left out."""


class ChainRule:
    """What takes one compiled model through the chain rule."""

    def __init__(self, manifest: Manifest, boundary: TypedBoundary) -> None:
        variables = (*manifest.inputs, *manifest.outputs)
        public = {variable.name: variable.public_name for variable in variables}
        self._boundary = boundary
        self._inputs = {variable.name: variable for variable in boundary.inputs}
        self._where = f"compiled model '{boundary.label}'"
        self._dtype: torch.dtype = getattr(torch, manifest.leaf.dtype)
        self._device_type = torch.device(manifest.leaf.device).type
        self._compiled = _renamed(manifest.derivatives, public)
        self._dependent = _renamed(dependent_pairs(manifest), public)

    def read_tangents(self, v: object) -> Tangents:
        """The tangents in ``v``, the host's ``{input: {seed: tangent}}``.

        Raises :class:`InputError` and :class:`InputTypeError` for what does not fit an input,
        :class:`UnsupportedFeatureError` for sub-batched tangents, and
        :class:`DerivativeNotCompiledError` where the artifact lacks a derivative of an output by an
        input that has tangents.
        """
        inputs = self._inputs
        given = self._mapping("v", v)
        strangers = [name for name in given if name not in inputs]
        if strangers:
            raise InputError(
                f"{self._where}: v holds tangents of {_quoted(strangers)}; expected inputs, which "
                f"are {_quoted(inputs)}. Remove what is no input."
            )
        tangents = {
            name: {
                seed: self._read_tangent(inputs[name], seed, value)
                for seed, value in self._mapping(f"v['{name}']", seeds).items()
            }
            for name, seeds in given.items()
        }
        tangents = {name: by_seed for name, by_seed in tangents.items() if by_seed}
        self._require_derivatives(tangents)
        return tangents

    def push_forward(
        self, outputs: Iterable[Any], blocks: Blocks, tangents: Tangents, batch: Shape
    ) -> TypedTangents:
        """Tangents of the typed ``outputs``, each of the type of its output, from ``blocks``.

        ``batch`` is that of the call. An output that depends on no input with tangents has no
        entry. A tangent without seed axes has the shape of its output; with some, a batch axis
        along which nothing differs may have the extent one.

        Raises :class:`InputError` for tangents that do not fit the batch or one another, and
        :class:`UnsupportedFeatureError` for sub-batched outputs.
        """
        self._check_batches(tangents, batch)
        moved: TypedTangents = {}
        for variable, output in zip(self._boundary.outputs, outputs, strict=True):
            sources = [name for name in tangents if (variable.name, name) in self._dependent]
            if not sources:
                continue
            if output.sub_batch_ndim:
                raise self._sub_batched(f"output '{variable.name}' is sub-batched")
            seeds = dict.fromkeys(seed for name in sources for seed in tangents[name])
            moved[variable.name] = {}
            for seed in seeds:
                moving = {name: tangents[name][seed] for name in sources if seed in tangents[name]}
                total = self._total(variable, seed, blocks[variable.name], moving)
                moved[variable.name][seed] = _wrapped(variable, total, batch)
        return moved

    # --- checks

    def _mapping(self, what: str, value: object) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        raise InputTypeError(
            f"{self._where}: {what} is a {type(value).__name__}, expected a dictionary. Pass v as "
            "{input: {seed: tangent}}."
        )

    def _read_tangent(self, variable: TypedVariable, seed: str, value: object) -> Tangent:
        where = f"{self._where}: tangent '{seed}' of input '{variable.name}'"
        kind = variable.wrapper
        wrapper: Any = kind(value) if isinstance(value, torch.Tensor) else value
        if not isinstance(wrapper, kind):
            raise InputTypeError(
                f"{where} is a {type(value).__name__}, expected a neml2.types.{kind.__name__}, the "
                "type of the input, or a torch.Tensor without seed axes."
            )
        if variable.sub_batch_shape or wrapper.sub_batch_ndim or "broadcast" in wrapper.k_state:
            raise self._sub_batched(f"tangent '{seed}' of input '{variable.name}' is sub-batched")
        values: torch.Tensor = wrapper.data
        if (values.dtype, values.device.type) != (self._dtype, self._device_type):
            raise InputTypeError(
                f"{where} is {values.device}/{values.dtype}, expected {self._device_type}/"
                f"{self._dtype}, as the model. Convert it with .to()."
            )
        base: Shape = tuple(kind.BASE_SHAPE)
        if (
            values.ndim < wrapper.k_ndim + len(base)
            or values.shape[values.ndim - len(base) :] != base
        ):
            axes = [f"{wrapper.k_ndim} seed axes", "*batch", *map(str, base)]
            raise InputError(
                f"{where} has the shape {tuple(values.shape)}, expected ({', '.join(axes)})."
            )
        return _columns(values, wrapper.k_ndim, base)

    def _require_derivatives(self, tangents: Tangents) -> None:
        missing = [
            (variable.name, name)
            for variable in self._boundary.outputs
            for name in tangents
            if (variable.name, name) not in self._compiled
        ]
        if missing:
            flags = " ".join(f"-d {output}:{name}" for output, name in missing)
            raise DerivativeNotCompiledError(
                f"{self._where}: the chain rule takes derivatives that were not compiled. "
                f"Recompile the model with neml2-compile {flags} beside the present pairs, or with "
                "-d : for all."
            )

    def _check_batches(self, tangents: Tangents, batch: Shape) -> None:
        for name, by_seed in tangents.items():
            for seed, tangent in by_seed.items():
                try:
                    torch.broadcast_shapes(batch, tangent.batch)  # type: ignore[no-untyped-call]
                except RuntimeError:
                    raise InputError(
                        f"{self._where}: tangent '{seed}' of input '{name}' has the batch shape "
                        f"{tangent.batch}, which does not broadcast with {batch}, that of the "
                        "call. Give it the batch of its input; seed axes come first and are "
                        "counted by k_ndim."
                    ) from None

    def _sub_batched(self, found: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(
            f"{self._where}: {found}, and there is no chain rule through the sub-batched variables "
            "of a compiled model. Use the native model there."
        )

    # --- arithmetic

    def _total(
        self,
        variable: TypedVariable,
        seed: str,
        blocks: Mapping[str, torch.Tensor],
        moving: Mapping[str, Tangent],
    ) -> Tangent:
        """What the inputs that move under one seed make of one output."""
        shapes = {tangent.seed_shape for tangent in moving.values()}
        if len(shapes) > 1:
            found = ", ".join(
                f"{tangent.seed_shape} of '{name}'" for name, tangent in moving.items()
            )
            raise InputError(
                f"{self._where}: the tangents '{seed}' have different seed axes: {found}. Tangents "
                "of one seed move together; name others apart."
            )
        parts = [
            _matrix(blocks[name], variable, self._inputs[name]) @ tangent.columns
            for name, tangent in moving.items()
        ]
        return Tangent(columns=sum(parts[1:], parts[0]), seed_shape=shapes.pop())


def _renamed(
    pairs: Iterable[tuple[str, str]], public: Mapping[str, str]
) -> frozenset[tuple[str, str]]:
    return frozenset((public[output], public[source]) for output, source in pairs)


def _columns(values: torch.Tensor, seed_ndim: int, base: Shape) -> Tangent:
    """From the layout of the host's wrappers, ``(*seed_axes, *batch, *base)``.

    Leading batch axes of extent one are dropped: they say nothing, and a tangent that all rows
    share is multiplied in one product where it has none.
    """
    seed_shape, batch = values.shape[:seed_ndim], values.shape[seed_ndim : values.ndim - len(base)]
    while batch and batch[0] == 1:
        batch = batch[1:]
    rows = values.reshape((math.prod(seed_shape), *batch, math.prod(base)))
    return Tangent(columns=rows.movedim(0, -1), seed_shape=tuple(seed_shape))


def _matrix(block: torch.Tensor, output: TypedVariable, source: TypedVariable) -> torch.Tensor:
    """``(*batch, output components, input components)``."""
    batch = block.shape[: block.ndim - output.base_ndim - source.base_ndim]
    sizes = (math.prod(variable.wrapper.BASE_SHAPE) for variable in (output, source))
    return block.reshape((*batch, *sizes))


def _wrapped(variable: TypedVariable, tangent: Tangent, batch: Shape) -> Any:
    """The host's wrapper, with at least as many batch axes as the values have: in the host's
    algebra a seed axis would otherwise meet a batch axis."""
    columns = tangent.columns
    if tangent.seed_shape:
        columns = columns.reshape((1,) * (len(batch) - len(tangent.batch)) + columns.shape)
    else:
        full: Shape = torch.broadcast_shapes(batch, tangent.batch)  # type: ignore[no-untyped-call]
        columns = columns.expand((*full, *columns.shape[-2:]))
    rows = columns.movedim(-1, 0)
    seed_ndim = len(tangent.seed_shape)
    return variable.wrapper(
        rows.reshape((*tangent.seed_shape, *rows.shape[1:-1], *variable.wrapper.BASE_SHAPE)),
        k_ndim=seed_ndim,
        k_state=("full",) * seed_ndim,
        k_pairing=(None,) * seed_ndim,
    )


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
