"""Compiled models as functions of JAX; needs ``pip install 'neml2-aoti-plugin[jax]'``.

The model runs on the host, behind ``jax.pure_callback``. Derivatives are those of the artifact:
forward mode multiplies by the blocks of ``jacobian`` and ``param_jacobian`` with operations of JAX,
which therefore knows their transpose, so that ``jax.grad`` and ``jax.vjp`` work too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from neml2_aoti_plugin.arrays import ArrayModel
from neml2_aoti_plugin.autograd import Differentiation
from neml2_aoti_plugin.errors import InputError, InputTypeError, UnsupportedFeatureError
from neml2_aoti_plugin.model import Model

try:
    import jax
    import jax.numpy as jnp
    import numpy as np
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError(
        "neml2_aoti_plugin.jax needs JAX: pip install 'neml2-aoti-plugin[jax]'"
    ) from error

Function = Callable[[Mapping[str, Any]], dict[str, Any]]


def jax_function(model: Model) -> Function:
    """``model.forward`` as a function of JAX, from a dictionary of arrays to one.

    The dictionary has an array for every input, ``(*batch, *base)``, batch axes broadcasting, and
    may have arrays for promoted parameters, which stand in place of the stored values. Works under
    ``jit``, ``vmap``, ``jvp``, ``jacfwd``, ``vjp``, ``grad`` and ``jacrev``; there are no second
    derivatives. Every derivative solves once more and computes the blocks of all inputs.

    Raises :class:`InputTypeError` for another dtype than the model's, also where JAX has no float64
    (``jax.config.update("jax_enable_x64", True)``), :class:`InputError` for a missing input, and
    :class:`DerivativeNotCompiledError` for a derivative that the artifact lacks.
    """
    bridge = _Bridge(model)
    evaluate = jax.custom_jvp(bridge.evaluate)
    evaluate.defjvp(bridge.differentiate, symbolic_zeros=True)

    def function(inputs: Mapping[str, Any]) -> dict[str, Any]:
        outputs: dict[str, Any] = evaluate(bridge.aligned(inputs))
        return outputs

    return function


class _Bridge:
    """One model, as JAX sees it while it traces."""

    def __init__(self, model: Model) -> None:
        self.host = ArrayModel(model, kind="numpy")
        manifest = model.manifest
        self.dtype = np.dtype(manifest.leaf.dtype)
        self.inputs = {
            v.public_name: (*(v.sub_batch_shape or ()), *v.base_shape) for v in manifest.inputs
        }
        self.parameters = {p.public_name: tuple(p.base_shape) for p in manifest.parameters}
        self.tails = self.inputs | self.parameters
        self.model = Differentiation(manifest)
        self.outputs = dict(zip(self.model.outputs, self.model.output_tails, strict=True))
        self.is_sub_batched = any(v.sub_batch_shape for v in manifest.inputs)

    def aligned(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Arrays whose batches have the same rank, so that an axis in front of all is one more."""
        missing = [name for name in self.inputs if name not in inputs]
        if missing:
            raise InputError(f"input '{missing[0]}' is missing; the model takes {[*self.inputs]}")
        arrays = {name: self._array(name, inputs[name]) for name in self.tails if name in inputs}
        rank = max(array.ndim - len(self.tails[name]) for name, array in arrays.items())
        return {
            name: array.reshape((1,) * (rank + len(self.tails[name]) - array.ndim) + array.shape)
            for name, array in arrays.items()
        }

    def evaluate(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The outputs of aligned inputs."""
        batch = self._batch(inputs)
        shapes = {name: self._shape((*batch, *tail)) for name, tail in self.outputs.items()}

        def run(arrays: dict[str, Any]) -> dict[str, Any]:
            return self.host.forward(*self._split(arrays))

        found: dict[str, Any] = jax.pure_callback(run, shapes, inputs, vmap_method="expand_dims")
        return found

    def differentiate(self, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
        """The rule of forward mode."""
        (inputs,), (directions,) = primals, tangents
        moving = {
            name: direction
            for name, direction in directions.items()
            if not isinstance(direction, jax.custom_derivatives.SymbolicZero)
        }
        self._require_pairs([*moving])
        blocks = self._blocks(inputs, [*moving])
        batch = self._batch(inputs)
        pushed = {}
        for output, tail in self.outputs.items():
            total = jnp.zeros((*batch, math.prod(tail)), self.dtype)
            for name, direction in moving.items():
                column = direction.reshape(
                    (*direction.shape[: direction.ndim - len(self.tails[name])], -1, 1)
                )
                total = total + (blocks[output][name] @ column)[..., 0]
            pushed[output] = total.reshape((*batch, *tail))
        return self.evaluate(inputs), pushed

    def _blocks(self, inputs: dict[str, Any], names: list[str]) -> dict[str, dict[str, Any]]:
        """(*batch, |output|, |column|) for every output and each of the names."""
        batch = self._batch(inputs)
        shapes = {
            output: {
                name: self._shape((*batch, math.prod(tail), math.prod(self.tails[name])))
                for name in names
            }
            for output, tail in self.outputs.items()
        }

        def run(arrays: dict[str, Any]) -> dict[str, dict[str, Any]]:
            given = self._split(arrays)
            blocks: dict[str, dict[str, Any]] = {output: {} for output in self.outputs}
            wanted = set(names)
            for columns, operation in (
                (self.inputs, self.host.jacobian),
                (self.parameters, self.host.param_jacobian),
            ):
                if wanted & set(columns):
                    for output, row in operation(*given)[1].items():
                        blocks[output] |= {n: b for n, b in row.items() if n in wanted}
            full = self._batch(arrays)
            return {
                output: {
                    name: self._matrices(blocks[output][name], output, name, full) for name in names
                }
                for output in self.outputs
            }

        found: dict[str, dict[str, Any]] = jax.pure_callback(
            run, shapes, inputs, vmap_method="expand_dims"
        )
        return found

    def _matrices(self, block: Any, output: str, name: str, batch: tuple[int, ...]) -> Any:
        height, width = math.prod(self.outputs[output]), math.prod(self.tails[name])
        whole = np.broadcast_to(block, (*batch, *self.outputs[output], *self.tails[name]))
        return whole.reshape((*batch, height, width))

    def _require_pairs(self, names: list[str]) -> None:
        if names and self.is_sub_batched:
            raise UnsupportedFeatureError(
                f"derivatives of '{self.model.label}' in JAX were asked for, whose inputs are "
                "sub-batched. Use the model's own jvp or jacobian."
            )
        self.model.require_pairs(
            self.outputs, names, subject="derivatives", way_out="jax.lax.stop_gradient"
        )

    def _array(self, name: str, value: Any) -> Any:
        array = jnp.asarray(value)
        if array.dtype != self.dtype:
            needs_64 = self.dtype == np.float64 and not jax.config.read("jax_enable_x64")  # type: ignore[no-untyped-call]
            advice = (
                '. Switch it on in JAX: jax.config.update("jax_enable_x64", True)'
                if needs_64
                else ""
            )
            raise InputTypeError(
                f"'{name}' has the dtype {array.dtype}, expected {self.dtype}{advice}"
            )
        tail = self.tails[name]
        if array.shape[max(array.ndim - len(tail), 0) :] != tail:
            raise InputError(
                f"'{name}' has the shape {array.shape}, expected one that ends with {tail}"
            )
        return array

    def _batch(self, arrays: Mapping[str, Any]) -> tuple[int, ...]:
        leading = (a.shape[: a.ndim - len(self.tails[name])] for name, a in arrays.items())
        return tuple(np.broadcast_shapes(*leading))

    def _shape(self, shape: tuple[int, ...]) -> Any:
        return jax.ShapeDtypeStruct(shape, self.dtype)  # type: ignore[no-untyped-call]

    def _split(self, arrays: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        named = {name: np.asarray(array) for name, array in arrays.items()}
        inputs = {name: named[name] for name in self.inputs}
        return inputs, {name: named[name] for name in self.parameters if name in named}
