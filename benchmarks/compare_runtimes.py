"""Time per row of the plugin and of neml2's own runtime, on the same artifact, in one process.

Both run interleaved, block by block, on the same inputs; the figures are medians, and the ratio is
the median of the ratios of neighbouring blocks. Needs a torch that the binary of neml2 was built
for::

    make bench                                  # Chaboche viscoplasticity, both loadings
    python benchmarks/compare_runtimes.py --rows 256 4096 --blocks 15
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["NEML2_AOTI_PLUGIN"] = (
    "0"  # neml2's own runtime stays in its place; ours is used beside it
)

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from artifact_cache import compiled

Tensors = dict[str, torch.Tensor]


def chaboche_inputs(rows: int, loading: str) -> Tensors:
    """One increment of 1000 s from rest to a deviatoric strain.

    ``hom``: 2e-3 in every row, all of them flow. ``het``: 1e-5 to 2e-3, spaced logarithmically and
    shuffled, from elastic to flowing.
    """
    generator = torch.Generator().manual_seed(0)
    if loading == "hom":
        amplitude = torch.full((rows,), 2e-3, dtype=torch.float64)
    else:
        exponents = torch.linspace(-5.0, -2.7, rows, dtype=torch.float64)
        amplitude = 10.0 ** exponents[torch.randperm(rows, generator=generator)]
    direction = torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0], dtype=torch.float64)

    def zeros(*base: int) -> torch.Tensor:
        return torch.zeros(rows, *base, dtype=torch.float64)

    return {
        "strain": amplitude[:, None] * direction,
        "strain~1": zeros(6),
        "t": zeros() + 1000.0,
        "t~1": zeros(),
        "stress~1": zeros(6),
        "equivalent_plastic_strain~1": zeros(),
        "X1~1": zeros(6),
        "X2~1": zeros(6),
    }


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(
    ours: Callable[[], object], reference: Callable[[], object], blocks: int
) -> tuple[float, float, float]:
    """Median seconds of both, and the median ratio reference / ours."""
    ours()
    reference()
    pairs = [(seconds(ours), seconds(reference)) for _ in range(blocks)]
    mine, theirs = zip(*pairs, strict=True)
    ratio = statistics.median(b / a for a, b in pairs)
    return statistics.median(mine), statistics.median(theirs), ratio


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 256, 4096])
    parser.add_argument("--blocks", type=int, default=9)
    arguments = parser.parse_args()

    import neml2.aoti

    from neml2_aoti_plugin import Model

    case = compiled("chaboche")
    ours = Model(case.root)
    reference = neml2.aoti.Model(str(case.root))
    if type(reference) is type(ours):
        raise SystemExit("neml2's own runtime is not there to compare with")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, chaboche, us per row")
    print(f"{'operation':10} {'loading':8} {'rows':>7} {'ours':>10} {'neml2':>10} {'ratio':>7}")
    for operation in ("forward", "jacobian"):
        for loading in ("hom", "het"):
            for rows in arguments.rows:
                inputs = chaboche_inputs(rows, loading)
                run_ours, run_reference = getattr(ours, operation), getattr(reference, operation)
                mine, theirs, ratio = compare(
                    lambda run=run_ours, x=inputs: run(x),
                    lambda run=run_reference, x=inputs: run(x),
                    arguments.blocks,
                )
                print(
                    f"{operation:10} {loading:8} {rows:7d} {1e6 * mine / rows:10.1f} "
                    f"{1e6 * theirs / rows:10.1f} {ratio:7.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
