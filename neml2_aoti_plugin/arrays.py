"""Compiled models for arrays of other libraries: NumPy, JAX, CuPy and whatever else shares memory.

Memory on the same device is shared, never copied, but for NumPy arrays with strides that torch
cannot represent: negative ones, and fields of records. Nothing is converted: a wrong dtype is the
error that it is for tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import torch

from neml2_aoti_plugin.errors import InputError, InputTypeError
from neml2_aoti_plugin.model import Model

if TYPE_CHECKING:
    from neml2_aoti_plugin.solves import SolveRecord

Arrays: TypeAlias = Mapping[str, Any]
"""By name: torch tensors, or anything with ``__dlpack__`` or the array protocol of NumPy."""

_Results = TypeVar("_Results")

KINDS = ("torch", "numpy", "jax", "cupy")


class ArrayModel:
    """A :class:`~neml2_aoti_plugin.Model` whose operations take and return arrays of any library.

    Its methods are those of the model, argument by argument and error by error; shapes, dtypes and
    devices are the same. Results are in the kind of the first input that is no torch tensor (torch
    if there is none), unless ``kind`` says otherwise: ``torch``, ``numpy``, ``jax`` or ``cupy``.
    They own their memory. Gradients are torch's: only torch results record them.

    Raises :class:`InputTypeError` naming the input for what is no array of numbers.
    """

    def __init__(self, model: Model, kind: str | None = None) -> None:
        if kind not in (None, *KINDS):
            raise InputError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}, or None")
        self.model = model
        self.kind = kind

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, kind={self.kind!r})"

    def forward(
        self,
        inputs: Arrays,
        param_overrides: Arrays | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> dict[str, Any]:
        """:meth:`neml2_aoti_plugin.Model.forward` on arrays."""
        return self._run(self.model.forward, (inputs,), param_overrides, solves)

    def jvp(
        self,
        inputs: Arrays,
        tangents: Arrays,
        param_overrides: Arrays | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """:meth:`neml2_aoti_plugin.Model.jvp` on arrays."""
        return self._run(self.model.jvp, (inputs, tangents), param_overrides, solves)

    def jacobian(
        self,
        inputs: Arrays,
        param_overrides: Arrays | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """:meth:`neml2_aoti_plugin.Model.jacobian` on arrays."""
        return self._run(self.model.jacobian, (inputs,), param_overrides, solves)

    def param_jacobian(
        self,
        inputs: Arrays,
        param_overrides: Arrays | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """:meth:`neml2_aoti_plugin.Model.param_jacobian` on arrays."""
        return self._run(self.model.param_jacobian, (inputs,), param_overrides, solves)

    def param_vjp(
        self,
        inputs: Arrays,
        cotangents: Arrays,
        param_overrides: Arrays | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> dict[str, Any]:
        """:meth:`neml2_aoti_plugin.Model.param_vjp` on arrays."""
        return self._run(self.model.param_vjp, (inputs, cotangents), param_overrides, solves)

    def _run(
        self,
        operation: Callable[..., _Results],
        mappings: tuple[Arrays, ...],
        overrides: Arrays | None,
        solves: list[SolveRecord] | None,
    ) -> _Results:
        kind = self.kind or _kind_of(mappings[0])
        tensors = [as_tensors(mapping) for mapping in mappings]
        results = operation(*tensors, None if overrides is None else as_tensors(overrides), solves)
        converted: _Results = _in_kind(results, kind)
        return converted


def as_tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    """Tensors that share the memory of the arrays."""
    return {name: as_tensor(name, value) for name, value in arrays.items()}


def as_tensor(name: str, value: Any) -> torch.Tensor:
    """A tensor that shares the memory of ``value``, which messages call ``name``.

    Raises :class:`InputTypeError` for what is no array of numbers.
    """
    if isinstance(value, torch.Tensor):
        return value
    if not hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        raise InputTypeError(
            f"'{name}' is of type {type(value).__name__}, expected an array: a torch tensor, or "
            "something with __dlpack__ or __array__"
        )
    if _package(value) == "numpy" or not hasattr(value, "__dlpack__"):
        return _from_numpy(name, value)
    tensor: torch.Tensor = torch.from_dlpack(value)  # type: ignore[attr-defined]
    return tensor


def _from_numpy(name: str, value: Any) -> torch.Tensor:
    numpy = import_module("numpy")
    if isinstance(value, numpy.ma.MaskedArray):
        raise InputTypeError(
            f"'{name}' is a masked array, and a model knows no masks; pass the rows that count, or "
            "fill the others with .filled()"
        )
    array = numpy.asarray(value)
    if not _is_known_to_torch(array.dtype):
        raise InputTypeError(
            f"'{name}' has the NumPy dtype {array.dtype!r}, expected numbers that torch has, "
            "too, in the byte order of this machine"
        )
    if any(stride < 0 or stride % array.itemsize for stride in array.strides):
        array = numpy.ascontiguousarray(array)
    if not array.flags.writeable:
        array = numpy.asarray(_Writable(array))
    tensor: torch.Tensor = torch.from_numpy(array)
    return tensor


def _is_known_to_torch(dtype: Any) -> bool:
    """Numbers of at most 8 bytes: torch has no long double."""
    return dtype.kind in "fiub" and dtype.itemsize <= 8 and dtype.isnative


class _Writable:
    """A read-only array as torch takes it, which has no read-only tensors. Models only read."""

    def __init__(self, array: Any) -> None:
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
        self.array = array


def _library(value: Any) -> str:
    """The kind of an array, or that of NumPy for libraries that results cannot be asked for in."""
    if isinstance(value, torch.Tensor):
        return "torch"
    return {"jax": "jax", "jaxlib": "jax", "cupy": "cupy"}.get(_package(value), "numpy")


def _package(value: Any) -> str:
    return type(value).__module__.split(".")[0]


def _kind_of(arrays: Arrays) -> str:
    kinds = (_library(value) for value in arrays.values())
    return next((kind for kind in kinds if kind != "torch"), "torch")


def _in_kind(results: Any, kind: str) -> Any:
    if kind == "torch":
        return results
    if isinstance(results, dict):
        return {name: _in_kind(value, kind) for name, value in results.items()}
    if isinstance(results, tuple):
        return tuple(_in_kind(value, kind) for value in results)
    tensor = results.detach()
    if kind == "numpy":
        if tensor.device.type != "cpu":
            raise InputError(
                f"results are on {tensor.device}, where NumPy has no arrays. Ask for another kind."
            )
        return tensor.numpy()
    if kind == "jax":
        return _to_jax(tensor)
    return import_module("cupy").from_dlpack(tensor)


def _to_jax(tensor: torch.Tensor) -> Any:
    """JAX itself would cut float64 to float32 without a word where it has no float64."""
    if tensor.dtype == torch.float64 and not import_module("jax").config.jax_enable_x64:
        raise InputTypeError(
            "results have the dtype torch.float64, which JAX has not switched on. Say "
            'jax.config.update("jax_enable_x64", True), or ask for another kind.'
        )
    return import_module("jax.dlpack").from_dlpack(tensor)
