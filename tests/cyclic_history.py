"""A cyclic history of the Chaboche model, each step's state an input of the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

Advance = Callable[[dict[str, torch.Tensor]], Mapping[str, torch.Tensor]]
"""One increment: from inputs to outputs, by name."""


def cycles(*, steps: int, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Strains (steps + 1, rows, 6) of two cycles, with amplitudes from elastic to well into yield,
    and times (steps + 1)."""
    times = torch.linspace(0.0, 100.0, steps + 1, dtype=torch.float64)
    direction = torch.tensor([1.0, -0.5, -0.5, 0.2, 0.0, 0.1], dtype=torch.float64)
    amplitudes = torch.linspace(1e-3, 4e-3, rows, dtype=torch.float64)
    wave = torch.sin(times * (4 * torch.pi / 100.0))
    return wave[:, None, None] * amplitudes[:, None] * direction, times


def history(advance: Advance, strains: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Sum of squares of the stresses of all steps."""
    rows = strains.shape[1]
    state: Mapping[str, torch.Tensor] = {
        "stress": torch.zeros(rows, 6, dtype=torch.float64),
        "equivalent_plastic_strain": torch.zeros(rows, dtype=torch.float64),
        "X1": torch.zeros(rows, 6, dtype=torch.float64),
        "X2": torch.zeros(rows, 6, dtype=torch.float64),
    }
    total = torch.zeros((), dtype=torch.float64)
    for step in range(1, len(times)):
        inputs = {f"{name}~1": value for name, value in state.items()}
        inputs |= {"strain": strains[step], "strain~1": strains[step - 1]}
        inputs |= {"t": times[step].expand(rows), "t~1": times[step - 1].expand(rows)}
        state = advance(inputs)
        total = total + state["stress"].square().sum()
    return total
