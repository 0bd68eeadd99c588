"""Increments from rest for models that are driven by a strain."""

from __future__ import annotations

import torch

from neml2_aoti_plugin import Model


def strained_rows(model: Model, rows: int, seed: int) -> dict[str, torch.Tensor]:
    """Strains up to 4e-3, which ``seed`` and the number of rows determine, within a second."""
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, torch.Tensor] = {}
    for variable in model.manifest.inputs:
        shape = (rows, *(variable.sub_batch_shape or ()), *variable.base_shape)
        values[variable.public_name] = torch.zeros(shape, dtype=model.dtype)
    values["strain"] = 4e-3 * torch.rand(rows, 6, dtype=model.dtype, generator=generator)
    if "t" in values:
        values["t"] += 1.0
    return values
