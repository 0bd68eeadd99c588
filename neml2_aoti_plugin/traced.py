"""Compiled models in functions that ``torch.compile`` traces: one opaque operator per call.

A tracer sees the shapes that come out and that gradients exist; everything else happens when the
traced function runs, as it would have without tracing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import torch

from neml2_aoti_plugin.autograd import Differentiation, evaluate_once, gradients_once
from neml2_aoti_plugin.errors import InputError, UnsupportedFeatureError

if TYPE_CHECKING:
    from neml2_aoti_plugin import _core

_numbers = itertools.count(1)
_models: WeakValueDictionary[int, TracedModel] = WeakValueDictionary()
"""By the number that stands for the model in a traced function."""


class TracedModel:
    """A compiled model as traced functions call it."""

    def __init__(self, core: _core.Model, differentiation: Differentiation) -> None:
        self.core = core
        self.differentiation = differentiation
        self.number = next(_numbers)
        _models[self.number] = self

    def forward(
        self, inputs: Mapping[str, torch.Tensor], parameters: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """``parameters``: those that the tracer is to see; others stay as they are stored."""
        given = []
        tensors = []
        for position, argument in enumerate(self.differentiation.arguments):
            named = parameters if argument.is_parameter else inputs
            if argument.name in named:
                given.append(position)
                tensors.append(named[argument.name])
            elif not argument.is_parameter:
                raise InputError(f"input '{argument.name}' is missing")
        outputs = evaluate(tensors, given, self.number)
        return dict(zip(self.differentiation.outputs, outputs, strict=True))


def _model(number: int) -> TracedModel:
    try:
        return _models[number]
    except KeyError:
        raise InputError(
            "a function that torch.compile traced calls a compiled model that no longer exists. "
            "Keep the Model as long as functions that call it, or trace again."
        ) from None


# Which of the model's arguments the tensors are: `given`, positions in Differentiation.arguments.


@torch.library.custom_op("neml2_aoti_plugin::evaluate", mutates_args=())
def evaluate(
    tensors: Sequence[torch.Tensor], given: Sequence[int], number: int
) -> list[torch.Tensor]:
    """The outputs, in declared order."""
    model = _model(number)
    outputs = evaluate_once(model.core, model.differentiation, tensors, given)
    expected = _output_shapes(model, tensors, given)
    found = [tuple(output.shape) for output in outputs]
    if found != expected:
        raise UnsupportedFeatureError(
            f"outputs have the shapes {found}, but torch.compile was told {expected}: the artifact "
            "does not record their sub-batch axes. Call the model outside of the traced function."
        )
    return list(outputs)


@evaluate.register_fake
def _(tensors: Sequence[torch.Tensor], given: Sequence[int], number: int) -> list[torch.Tensor]:
    shapes = _output_shapes(_model(number), tensors, given)
    return [tensors[0].new_empty(shape) for shape in shapes]


@torch.library.custom_op("neml2_aoti_plugin::pull_back", mutates_args=())
def pull_back(
    cotangents: Sequence[torch.Tensor],
    outputs: Sequence[int],
    tensors: Sequence[torch.Tensor],
    given: Sequence[int],
    wanted: Sequence[int],
    number: int,
) -> list[torch.Tensor]:
    """Gradients by the wanted of the given tensors, from cotangents of some outputs."""
    model = _model(number)
    return list(
        gradients_once(
            model.core, model.differentiation, tensors, given, cotangents, outputs, wanted
        )
    )


@pull_back.register_fake
def _(
    cotangents: Sequence[torch.Tensor],
    outputs: Sequence[int],
    tensors: Sequence[torch.Tensor],
    given: Sequence[int],
    wanted: Sequence[int],
    number: int,
) -> list[torch.Tensor]:
    return [tensors[k].new_empty(tensors[k].shape) for k in wanted]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    tensors, ctx.given, ctx.number = inputs
    ctx.save_for_backward(*tensors)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, cotangents: Sequence[torch.Tensor | None]) -> tuple[Any, None, None]:
    tensors = ctx.saved_tensors
    gradients: list[torch.Tensor | None] = [None] * len(tensors)
    present = [k for k, cotangent in enumerate(cotangents) if cotangent is not None]
    wanted = [k for k, needed in enumerate(ctx.needs_input_grad[0]) if needed]
    if present and wanted:
        found = pull_back(
            [cotangents[k] for k in present], present, tensors, ctx.given, wanted, ctx.number
        )
        for k, gradient in zip(wanted, found, strict=True):
            gradients[k] = gradient
    return gradients, None, None


evaluate.register_autograd(_backward, setup_context=_keep)


def _output_shapes(
    model: TracedModel, tensors: Sequence[torch.Tensor], given: Sequence[int]
) -> list[tuple[int, ...]]:
    arguments = model.differentiation.arguments
    leading = [
        tensor.shape[: tensor.ndim - arguments[k].tail_ndim]
        for k, tensor in zip(given, tensors, strict=True)
    ]
    batch = torch.broadcast_shapes(*leading)  # type: ignore[no-untyped-call]
    return [(*batch, *tail) for tail in model.differentiation.output_tails]
