"""Strain-controlled cyclic tests of a Chaboche material, simulated with its compiled model.

What both examples of this folder share: the compiled model with five promoted parameters, the
loading, and synthetic measurements. Units: MPa, s.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from neml2_aoti_plugin import Model

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "output"
INPUTS = HERE.parent.parent / "inputs"

sys.path.insert(0, str(HERE.parent.parent / "tests"))
from artifact_cache import Recipe, compile_input  # noqa: E402

PARAMETERS = {
    "residual.yield_function.sy": "yield stress",
    "residual.isotropic_hardening.R": "saturated hardening",
    "residual.X1_evolution.C": "modulus of X1",
    "residual.X1_evolution.g": "recovery of X1",
    "residual.X2_evolution.C": "modulus of X2",
}
"""What is calibrated, with the names that plots use."""

GUESS = torch.tensor([1.3, 0.6, 0.7, 1.4, 0.6], dtype=torch.float64)
"""Where the calibration begins, relative to the values that made the measurements."""

NOISE = 3.0
"""Standard deviation of the measured stresses."""


def compiled_model() -> Model:
    """The Chaboche model of ``inputs/``, compiled with its derivatives; cached by content."""
    case = compile_input(
        INPUTS / "chaboche" / "model.i",
        Recipe(
            target=("--model", "model"),
            derivatives=(":", *(f":{name}" for name in PARAMETERS)),
            parameters=tuple(PARAMETERS),
        ),
        name="calibration",
    )
    return Model(case.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """Specimens that are strained at the same times, each with an amplitude of its own."""

    times: torch.Tensor
    strains: torch.Tensor
    """Axial strain, (times, specimens)."""

    @staticmethod
    def cycles(*, steps: int, cycles: int = 3) -> Loading:
        """Fully reversed cycles between constant limits, at a constant rate."""
        times = torch.linspace(0.0, 60.0 * cycles, steps + 1, dtype=torch.float64)
        amplitudes = torch.tensor([3e-3, 6e-3], dtype=torch.float64)
        triangle = 2.0 / math.pi * torch.asin(torch.sin(times * (2.0 * math.pi / 60.0)))
        return Loading(times=times, strains=triangle[:, None] * amplitudes)


def axial_stresses(
    model: Model, loading: Loading, parameters: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Axial stress, (times - 1, specimens), of isochoric tension and compression.

    Differentiable by the parameters through all steps.
    """
    direction = torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0], dtype=torch.float64)
    strains = loading.strains[..., None] * direction
    rows = strains.shape[1]
    state = {name: torch.zeros(rows, 6, dtype=torch.float64) for name in ("stress", "X1", "X2")}
    state["equivalent_plastic_strain"] = torch.zeros(rows, dtype=torch.float64)
    stresses = []
    for step in range(1, len(loading.times)):
        inputs = {f"{name}~1": value for name, value in state.items()}
        inputs |= {"strain": strains[step], "strain~1": strains[step - 1]}
        inputs |= {"t": loading.times[step], "t~1": loading.times[step - 1]}
        state = model.forward(inputs, parameters)
        stresses.append(state["stress"][:, 0] - state["stress"][:, 1])
    return torch.stack(stresses)


def prepared(*, steps: int) -> tuple[Model, Loading, torch.Tensor]:
    """The compiled model, its loading and what was measured under it."""
    OUTPUT.mkdir(exist_ok=True)
    print("compiling (a few minutes the first time) ...", flush=True)
    model = compiled_model()
    loading = Loading.cycles(steps=steps)
    return model, loading, measurements(model, loading)


def true_values(model: Model) -> torch.Tensor:
    """The values that the input file has, in the order of :data:`PARAMETERS`."""
    stored = model.named_parameters()
    return torch.stack([stored[name].detach().clone() for name in PARAMETERS])


def named(values: torch.Tensor) -> dict[str, torch.Tensor]:
    """Values in the order of :data:`PARAMETERS` by name."""
    return dict(zip(PARAMETERS, values.unbind(-1), strict=True))


def measurements(model: Model, loading: Loading) -> torch.Tensor:
    """Stresses of the true material with noise, the same each time."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        exact = axial_stresses(model, loading, named(true_values(model)))
    noise = torch.randn(exact.shape, dtype=torch.float64, generator=generator)
    return exact + NOISE * noise
