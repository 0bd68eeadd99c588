"""Central differences of a compiled model."""

from __future__ import annotations

import torch
from twins import Tensors

from neml2_aoti_plugin import Model

RELATIVE_STEP = 1e-6
SMALLEST_SCALE = 1e-2


def differences(model: Model, inputs: Tensors, input: str) -> Tensors:
    """Derivatives of every output by one input, all rows at once: ``(*batch, *output_base,
    *input_base)``."""
    value = inputs[input]
    base = value.shape[1:]
    step = RELATIVE_STEP * max(value.abs().max().item(), SMALLEST_SCALE)
    columns: dict[str, list[torch.Tensor]] = {name: [] for name in model.output_names}
    for component in range(base.numel()):
        shift = torch.zeros(base.numel(), dtype=value.dtype)
        shift[component] = step
        plus = model.forward(inputs | {input: value + shift.reshape(base)})
        minus = model.forward(inputs | {input: value - shift.reshape(base)})
        for name, column in columns.items():
            column.append((plus[name] - minus[name]) / (2 * step))
    stacked = {name: torch.stack(column, dim=-1) for name, column in columns.items()}
    return {name: value.reshape(*value.shape[:-1], *base) for name, value in stacked.items()}
