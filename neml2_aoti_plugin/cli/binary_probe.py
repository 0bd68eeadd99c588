"""Whether neml2's own binary loads and reads torch's tensors right; to be run with the plugin off.

In a process of its own, as a binary for another torch may misread memory or end the process.
Prints one JSON object for each thing that was tried, before it is known how the next one ends.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def main() -> int:
    """Load the binary and let it solve ``u^3 = (8, 27), (1, 64)``."""
    import torch

    importlib.import_module("neml2")
    binary = importlib.import_module("neml2.aoti._aoti")
    _say("loads", str(getattr(binary, "__file__", "")))
    if not hasattr(binary, "newton_solve_eager"):
        return 0
    targets = torch.tensor([[8.0, 27.0], [1.0, 64.0]], dtype=torch.float64)
    solved = _solve_cubic(binary, targets)
    difference = float((solved - targets.abs() ** (1 / 3)).abs().max())
    _say("reads", f"{difference:g}")
    return 0 if difference < 1e-6 else 1


def _solve_cubic(binary: Any, targets: Any) -> Any:
    import torch

    def residual(u: list[Any]) -> list[Any]:
        return [targets - u[0] ** 3]

    def step(u: list[Any]) -> tuple[list[Any], list[Any]]:
        return [(targets - u[0] ** 3) / (3 * u[0] ** 2)], residual(u)

    solved = binary.newton_solve_eager(
        residual_fn=residual,
        step_fn=step,
        unknown_layout=[("dense", [])],
        residual_layout=[("dense", [])],
        u0=[torch.full_like(targets, 2.5)],
        atol=1e-12,
        rtol=1e-12,
        miters=50,
        ls_type="BACKTRACKING",
        ls_max_iters=1,
        ls_cutback=2.0,
        ls_c=1e-3,
    )
    return solved[0][0]


def _say(what: str, finding: str) -> None:
    print(json.dumps([what, finding]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
