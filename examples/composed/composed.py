"""Compile a flow rule, put it into a native material, run both through thermomechanical fatigue.

``native.i`` and ``compiled.i`` are the same material around a flow rule: one has neml2's own, the
other the compiled one, as a block of type ``AOTIModel`` with ``chain_rule = true``. Both are run
with ``neml2-run``, and every Newton solve of the material's implicit update is compared too: with
the same derivatives the same solves take the same iterations.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parent
OUTPUT = EXAMPLE / "output"
DRIVER = "fatigue"
AGREEMENT = 1e-8
"""Largest accepted difference, relative to the largest value; both sides solve to 1e-10."""
LOADINGS = ("hot in tension", "cold in tension", "constant temperature")

sys.path[:0] = [str(EXAMPLE.parent), str(EXAMPLE.parent.parent / "tests")]
from artifact_cache import Recipe, compile_input  # noqa: E402
from driver_runs import Run, from_rest, print_comparison, require_plugin, run  # noqa: E402

Residuals = list[float]
"""Norms over the iterations of one solve, the guess first."""


def main() -> int:
    """Run the example; return 1 where the two runs differ."""
    options = arguments()
    OUTPUT.mkdir(exist_ok=True)
    require_plugin()
    print("compiling the flow rule (less than a minute, the first time) ...", flush=True)
    flow = compile_input(
        EXAMPLE / "flow.i",
        Recipe(target=("--model", "flow"), derivatives=(":",)),
        name="composed_flow",
    )
    size = (f"cycles:={options.cycles}", f"steps:={options.steps}")
    logged = os.environ | {"NEML2_LOGS": "newton=debug"}
    print("native run ...", flush=True)
    native = run(EXAMPLE / "native.i", DRIVER, OUTPUT / "native.pt", *size, environment=logged)
    print("run with the compiled flow rule ...", flush=True)
    place = f"Models/flow/artifact_path:={flow.root}"
    compiled = run(
        EXAMPLE / "compiled.i", DRIVER, OUTPUT / "compiled.pt", *size, place, environment=logged
    )

    agree = print_comparison(native, compiled, AGREEMENT)
    agree &= print_solves(native, compiled)
    picture = OUTPUT / "fatigue.png"
    draw(native, compiled, picture)
    print(f"\nstress-strain loops and convergence: {picture}")
    return 0 if agree else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=3, help="strain cycles")
    parser.add_argument(
        "--steps", type=int, default=120, help="steps of the driver, over all cycles"
    )
    return parser.parse_args()


def solves(run: Run) -> list[Residuals]:
    """The residual norms of every Newton solve of the run, as the channel ``newton`` logs them."""
    found: list[Residuals] = []
    for iteration, norm in re.findall(r"ITERATION +(\d+), \|R\| = (\S+),", run.log):
        if int(iteration) == 0:
            found.append([])
        found[-1].append(float(norm))
    return found


def print_solves(native: Run, compiled: Run) -> bool:
    """Print how many iterations the solves took; True where each took the same on both sides."""
    counts = [[len(solve) - 1 for solve in solves(side)] for side in (native, compiled)]
    same = sum(ours == theirs for ours, theirs in zip(*counts, strict=True))
    print(
        f"\nNewton solves: {len(counts[0])}; iterations: native {sum(counts[0])}, "
        f"compiled {sum(counts[1])}; the same in {same} solves"
    )
    if same < len(counts[0]):
        print("\nDIFFERENT: a solve took another number of iterations", file=sys.stderr)
    return same == len(counts[0])


def draw(native: Run, compiled: Run, picture: Path) -> None:
    """Draw the stress-strain loops, and the convergence of the solve that took longest."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (loops, convergence) = plt.subplots(ncols=2, figsize=(12, 5), layout="constrained")
    draw_loops(loops, native, compiled)
    draw_convergence(convergence, native, compiled)
    figure.suptitle("A compiled flow rule in a native material: thermomechanical fatigue")
    figure.savefig(picture, dpi=150)


def draw_loops(axes: Any, native: Run, compiled: Run) -> None:
    strain = from_rest(100 * compiled.history("input", "strain")[..., 0])
    line = from_rest(compiled.history("output", "stress")[..., 0])
    dots = from_rest(native.history("output", "stress")[..., 0])
    circles: dict[str, Any] = {"markersize": 3.5, "markerfacecolor": "none"}
    for point, loading in enumerate(LOADINGS):
        axes.plot(strain[:, point], line[:, point], color=f"C{point}", label=loading)
        axes.plot(strain[::2, point], dots[::2, point], "o", color=f"C{point}", **circles)
    axes.plot([], [], "o", color="0.3", label="native, every other step", **circles)
    axes.set_xlabel("axial strain (%)")
    axes.set_ylabel("axial stress (MPa)")
    axes.set_title("lines: with the compiled flow rule; temperature 450 to 950 K")
    axes.grid(alpha=0.3)
    axes.legend(loc=(0.27, 0.29), fontsize="small")


def draw_convergence(axes: Any, native: Run, compiled: Run) -> None:
    both = zip(solves(native), solves(compiled), strict=True)
    theirs, ours = max(both, key=lambda pair: len(pair[0]))
    axes.semilogy(ours, color="C3", label="compiled flow rule")
    axes.semilogy(theirs, "o", color="C3", markerfacecolor="none", label="native flow rule")
    axes.set_xlabel("Newton iteration")
    axes.set_ylabel("norm of the residual")
    axes.set_title("convergence of the longest solve")
    axes.grid(alpha=0.3)
    axes.legend()


if __name__ == "__main__":
    sys.exit(main())
