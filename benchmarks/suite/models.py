"""The models that are measured, how each is compiled, and the increment that each is given."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch
from artifact_cache import INPUTS, CompiledCase, Recipe, compile_input

from neml2_aoti_plugin.artifact.manifest import ImplicitSegment, Manifest

Tensors = dict[str, torch.Tensor]
Loads = Callable[[torch.Tensor], Tensors]
"""The prescribed inputs of an increment at a fraction ``(rows,)`` of the largest load."""

KERNEL_THREADS = os.cpu_count() or 1
"""What ``neml2-compile`` generates kernels for where nobody tells it otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchModel:
    """One model of ``inputs/``."""

    case: str
    """Its folder there."""
    loads: Loads
    """Sets what is not zero; an increment starts from rest."""
    easiest: float
    """Fraction of the largest load at which a row is elastic, or nearly so."""
    driving: str
    """The input whose direction ``jvp`` follows."""
    has_derivatives: bool = True
    """Derivatives through sub-batched unknowns cannot be compiled."""
    parameter: str | None = None
    """The one that is promoted for ``param_vjp``, which differentiates the stress by it."""
    responds_to_load: bool = True
    """Whether an easier row takes fewer iterations, so that loadings differ."""

    def compiled(self, *, promoted: bool = False) -> CompiledCase:
        """The artifact, from the cache; with :attr:`parameter` promoted where that is asked for."""
        names = (self.parameter,) if promoted and self.parameter is not None else ()
        pairs = (":",) if self.has_derivatives else ()
        recipe = Recipe(
            derivatives=(*pairs, *(f"stress:{name}" for name in names)),
            parameters=names,
            kernel_threads=KERNEL_THREADS,
        )
        return compile_input(
            INPUTS / self.case / "model.i",
            recipe,
            name=f"bench_{self.case}",
            variant="promoted" if promoted else "default",
        )


def increment(model: BenchModel, manifest: Manifest, fractions: torch.Tensor) -> Tensors:
    """All inputs of one increment from rest, ``(rows, *sub_batch, *base)``."""
    rows = len(fractions)
    inputs = {
        variable.public_name: torch.zeros(
            rows, *(variable.sub_batch_shape or ()), *variable.base_shape, dtype=torch.float64
        )
        for variable in manifest.inputs
    }
    loads = model.loads(fractions)
    if strangers := loads.keys() - inputs.keys():
        raise ValueError(f"{model.case} has no inputs {sorted(strangers)}")
    for name, value in loads.items():
        inputs[name] = value.expand(inputs[name].shape).contiguous()
    return inputs


def unknowns(manifest: Manifest) -> int:
    """How many scalars one row solves for, over all sites and implicit segments."""
    return sum(
        torch.Size((*slot.sub_batch_shape, *slot.base_shape)).numel()
        for segment in manifest.segments
        if isinstance(segment, ImplicitSegment)
        for slot in segment.unknowns
    )


# --- loads


def _along(direction: tuple[float, ...], name: str = "strain", seconds: float = 1.0) -> Loads:
    """``name`` along a direction, within an increment of time."""

    def loads(fractions: torch.Tensor) -> Tensors:
        value = fractions[:, None] * torch.tensor(direction, dtype=torch.float64)
        return {name: value, "t": torch.full_like(fractions, seconds)}

    return loads


_TENSION = (2e-3, -1e-3, -1e-3, 0.0, 0.0, 0.0)


def _elastic(fractions: torch.Tensor) -> Tensors:
    return {"strain": fractions[:, None] * torch.tensor(_TENSION, dtype=torch.float64)}


def _porous(fractions: torch.Tensor) -> Tensors:
    loads = _along((4e-3, 1e-3, 0.0, 0.0, 2e-3, -1e-3))(fractions)
    return loads | {"void_fraction~1": torch.full_like(fractions, 0.05)}


def _crystal(orientations: list[list[float]], rate: tuple[float, ...], **old: float) -> Loads:
    """One second at a deformation rate; ``orientations`` of the sites, or of the one crystal."""

    def loads(fractions: torch.Tensor) -> Tensors:
        start = torch.tensor(orientations, dtype=torch.float64)
        return {
            **_along(rate, "deformation_rate")(fractions),
            "orientation~1": start if len(orientations) > 1 else start[0],
            **{f"{name}~1": torch.tensor(v, dtype=torch.float64) for name, v in old.items()},
        }

    return loads


_GRAINS = [[0.0, 0.0, 0.0], [0.1, -0.05, 0.2], [-0.25, 0.15, 0.05], [0.05, 0.3, -0.1]]
_RATE = (2e-3, -1e-3, -1e-3, 0.0, 0.5e-3, 0.0)


def _controlled(fractions: torch.Tensor) -> Tensors:
    """Shear at a prescribed rate, under a prescribed axial stress."""
    control = torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    return {
        **_along((60.0, 0.0, 0.0, 0.0, 0.0, 0.9e-3), "applied", seconds=3.0)(fractions),
        "control": control,
        "orientation~1": torch.tensor(_GRAINS[1:], dtype=torch.float64),
    }


_CHABOCHE = {
    "loads": _along(_TENSION, seconds=1000.0),
    "easiest": 5e-3,
    "driving": "strain",
    "parameter": "residual.yield_function.sy",
}

MODELS = MappingProxyType(
    {
        model.case: model
        for model in (
            BenchModel(
                case="elasticity",
                loads=_elastic,
                easiest=1.0,
                driving="strain",
                parameter="model.E",
                responds_to_load=False,
            ),
            BenchModel(
                case="radial_return",
                loads=_along(_TENSION),
                easiest=5e-3,
                driving="strain",
                parameter="return_map.residual.yield_function.sy",
            ),
            BenchModel(
                case="isotropic_hardening",
                loads=_along(_TENSION, seconds=1000.0),
                easiest=5e-3,
                driving="strain",
                parameter="residual.yield_function.sy",
            ),
            BenchModel(case="chaboche", **_CHABOCHE),
            BenchModel(case="chaboche_4", **_CHABOCHE),
            BenchModel(case="chaboche_6", **_CHABOCHE),
            BenchModel(
                case="porous_plasticity",
                loads=_porous,
                easiest=1e-2,
                driving="strain",
                parameter="return_map.residual.yield_function.surface.sy",
            ),
            BenchModel(
                case="single_crystal",
                loads=_crystal([[0.05, 0.1, -0.1]], _RATE, dislocation_density=1.0),
                easiest=1e-2,
                driving="deformation_rate",
                has_derivatives=False,
            ),
            BenchModel(
                case="decoupled_crystal",
                loads=_crystal([[0.05, 0.1, -0.1]], _RATE),
                easiest=1e-2,
                driving="deformation_rate",
                parameter="lattice.lattice_residual.slip_rule.gamma0",
            ),
            BenchModel(
                case="crystal",
                loads=_crystal(_GRAINS, _RATE),
                easiest=1e-2,
                driving="deformation_rate",
                has_derivatives=False,
            ),
            BenchModel(
                case="stress_controlled_polycrystal",
                loads=_controlled,
                easiest=1e-2,
                driving="applied",
                has_derivatives=False,
            ),
        )
    }
)
