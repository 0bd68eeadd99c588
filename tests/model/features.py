"""The small models of ``tests/model/inputs`` with states to put them in."""

from __future__ import annotations

import pytest
import torch
from artifact_cache import CompiledCase, compiled_feature, obstacle
from twins import Tensors

from neml2_aoti_plugin import Model

YIELD_STRESS = "update.residual.yield_surface.sy"
MODULUS = "update.residual.elasticity.E"


def compiled_perzyna(variant: str) -> CompiledCase:
    if reason := obstacle("perzyna"):
        pytest.skip(reason)
    return compiled_feature("perzyna", variant)


def perzyna(variant: str) -> Model:
    return Model(compiled_perzyna(variant).root)


def increments(*batch: int, strain: float = 2e-3, seed: int = 0) -> Tensors:
    """Strain increments of about ``strain`` in one second, each row another."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*batch, *shape, dtype=torch.float64, generator=generator)

    old_strain = 1e-3 * (draw(6) - 0.5)
    scale = strain * (0.5 + draw(1))
    return {
        "strain": old_strain + scale * (draw(6) - 0.5),
        "strain~1": old_strain,
        "plastic_strain~1": 1e-4 * (draw(6) - 0.5),
        "t": torch.full(batch, 11.0, dtype=torch.float64),
        "t~1": torch.full(batch, 10.0, dtype=torch.float64),
    }


def rows_of(inputs: Tensors, *rows: int) -> Tensors:
    """The listed rows of inputs with one batch axis."""
    return {name: value[list(rows)] for name, value in inputs.items()}
