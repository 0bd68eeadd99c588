"""The history that a driver runs: strain cycles of many points in a hundred steps."""

from __future__ import annotations

STEPS = 100
SECONDS = 2250.0
CYCLES = 2.25
"""The last step is a peak."""


def overrides(rows: int) -> list[str]:
    """What to replace in the input file of a Chaboche model, or of one with the same tensors.

    Amplitudes reach from elastic to the middle of yield, evenly over the rows.
    """
    times = f"Scalar(torch.linspace(0.0, {SECONDS}, {STEPS + 1}))"
    cycle = f"torch.sin(torch.linspace(0.0, {2 * CYCLES} * torch.pi, {STEPS + 1}))"
    direction = "torch.tensor([[1.0, -0.5, -0.5, 0.0, 0.0, 0.0]])"
    amplitudes = f"torch.linspace(5e-4, 5e-3, {rows})[:, None] * {direction}"
    tensors = {"times": times, "cycle": cycle, "amplitudes": amplitudes}
    return [f"Tensors/{name}/expr:='{text}'" for name, text in tensors.items()]
