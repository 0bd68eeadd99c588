"""What the gradient of a history costs: ``make bench-gradients``.

The Chaboche model is strained for some steps, the state of each an input of the next. Every round
times the same history without gradients, with them, and the way back, one after the other in this
process; the table has medians of their ratios over rounds. Memory is what the process holds when
the history is recorded, beyond what it held before.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from neml2_aoti_plugin import Model

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from artifact_cache import compiled
from cyclic_history import cycles, history


def resident() -> int:
    """Bytes that the process holds in memory."""
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(
    model: Model, strains: torch.Tensor, times: torch.Tensor, rounds: int
) -> tuple[float, float, float, float]:
    """Seconds of the plain history, ratios of recording and going back, bytes per row and step."""
    plain, forward, backward = [], [], []
    held = 0
    for _ in range(rounds):
        leaf = strains.clone().requires_grad_()
        with torch.no_grad():
            plain.append(seconds(lambda: history(model.forward, strains, times)))
        before = resident()
        start = time.perf_counter()
        total = history(model.forward, leaf, times)
        forward.append(time.perf_counter() - start)
        held = max(held, resident() - before)
        backward.append(seconds(total.backward))
    steps, rows = strains.shape[0] - 1, strains.shape[1]
    return (
        statistics.median(plain),
        statistics.median(f / p for f, p in zip(forward, plain, strict=True)),
        statistics.median(b / p for b, p in zip(backward, plain, strict=True)),
        held / (steps * rows),
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 64, 1024, 8192])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = Model(compiled("chaboche", variant="promoted").root)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.steps} steps, "
        f"{arguments.rounds} rounds"
    )
    print(f"{'rows':>6}  {'by':22}{'plain':>9}{'recorded':>10}{'backward':>10}{'KiB/row/step':>14}")
    for rows in arguments.rows:
        strains, times = cycles(steps=arguments.steps, rows=rows)
        for parameters in (False, True):
            if parameters:
                model.trainable_parameters()
            plain, forward, backward, held = measure(model, strains, times, arguments.rounds)
            label = "strains and parameters" if parameters else "strains"
            print(
                f"{rows:6}  {label:22}{plain:8.3f}s{forward:10.2f}{backward:10.2f}"
                f"{held / 1024:14.2f}"
            )
        for name, value in model.trainable_parameters().items():
            model.set_parameter(name, value.detach().clone())


if __name__ == "__main__":
    main()
