"""Run viscoplastic.i, interpreted, and print every history as JSON of exact floats.

Keys are ``"<block> <number of points>"``, with 0 points for no batch axis. Where a solve fails, the
value tells what its error carries.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import neml2
import neml2.aoti
import torch

torch.set_default_dtype(torch.float64)

BLOCKS = ("full_step", "backtracking", "strong_wolfe", "out_of_iterations")
BATCHES = (0, 1, 3, 5)
CYCLE = (0.4, 1.0, 0.3, -0.8)
INCREMENT = 2.0  # s
# From elastic to far beyond yield, so that the points of a batch need different numbers of updates.
AMPLITUDES = [
    [2e-4, -1e-4, -1e-4, 0.0, 0.0, 0.0],
    [4e-3, -2e-3, -2e-3, 0.0, 0.0, 0.0],
    [2e-2, -1e-2, -1e-2, 0.0, 0.0, 5e-3],
    [0.0, 0.0, 0.0, 0.0, 8e-3, 0.0],
    [1e-3, 1e-3, -2e-3, 3e-3, 0.0, 1e-3],
]


def history(model: torch.nn.Module, batch: int) -> list[list[str]]:
    amplitude = torch.tensor(AMPLITUDES[2] if batch == 0 else AMPLITUDES[:batch])
    state: dict[str, torch.Tensor] = {"t": torch.tensor(0.0)}
    for name, wrapper in model.input_spec.items():
        if name not in ("t", "t~1", "strain", "strain~1"):
            state.setdefault(name, torch.zeros(wrapper.BASE_SHAPE))
    results = []
    for step, factor in enumerate(CYCLE, start=1):
        state |= {"t": torch.tensor(INCREMENT * step), "t~1": torch.tensor(INCREMENT * (step - 1))}
        state["strain"] = factor * amplitude
        inputs = [wrapper(state[name]) for name, wrapper in model.input_spec.items()]
        outputs = dict(zip(model.output_spec, model(*inputs), strict=True))
        for name, value in outputs.items():
            state[f"{name}~1"] = value.data
            results.append([number.hex() for number in value.data.flatten().tolist()])
    return results


def failure(error: Exception) -> dict[str, object]:
    mask = getattr(error, "converged_mask", None)
    unknowns = getattr(error, "unknowns", {})
    return {
        "caught_as": [
            name
            for name in ("neml2.aoti", "neml2.solvers")
            if isinstance(error, getattr(sys.modules[name], "ConvergenceError", ()))
        ],
        "text": str(error),
        "mask": None if mask is None else mask.tolist(),
        "unknowns": {
            name: [number.hex() for number in value.data.flatten().tolist()]
            for name, value in unknowns.items()
        },
    }


def solve(block: str, batch: int) -> object:
    model = neml2.load_model(Path(__file__).with_name("viscoplastic.i"), block)
    try:
        return history(model, batch)
    except RuntimeError as error:
        return failure(error)


if __name__ == "__main__":
    print(json.dumps({f"{b} {n}": solve(b, n) for b in BLOCKS for n in BATCHES}, indent=0))
