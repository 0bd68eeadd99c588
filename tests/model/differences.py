"""Central differences of a compiled model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from twins import Tensors

from neml2_aoti_plugin import Model

RELATIVE_STEP = 1e-6
PARAMETER_STEP = 1e-4
SMALLEST_SCALE = 1e-2


def differences(model: Model, inputs: Tensors, input: str) -> Tensors:
    """Derivatives of every output by one input, all rows at once: ``(*batch, *sub_batch,
    *output_base, *input_base)``. All sites of a sub-batched input move together."""
    value = inputs[input]
    base = torch.Size(dict(zip(model.input_names, model.input_base_shapes, strict=True))[input])
    step = RELATIVE_STEP * max(value.abs().max().item(), SMALLEST_SCALE)
    return _by_component(lambda shift: model.forward(inputs | {input: value + shift}), base, step)


def parameter_differences(model: Model, inputs: Tensors, parameter: str) -> Tensors:
    """Derivatives of every output by one promoted parameter: ``(*batch, *output_base,
    *parameter_base)``."""
    value = model.named_parameters()[parameter].clone()
    step = PARAMETER_STEP * value.abs().max().item()
    return _by_component(
        lambda shift: model.forward(inputs, {parameter: value + shift}), value.shape, step
    )


def _by_component(
    forward: Callable[[torch.Tensor], Tensors], base: torch.Size, step: float
) -> Tensors:
    columns: dict[str, list[torch.Tensor]] = {}
    for component in range(base.numel()):
        shift = torch.zeros(base.numel(), dtype=torch.float64)
        shift[component] = step
        plus = forward(shift.reshape(base))
        minus = forward(-shift.reshape(base))
        for name, value in plus.items():
            columns.setdefault(name, []).append((value - minus[name]) / (2 * step))
    stacked = {name: torch.stack(column, dim=-1) for name, column in columns.items()}
    return {name: value.reshape(*value.shape[:-1], *base) for name, value in stacked.items()}
