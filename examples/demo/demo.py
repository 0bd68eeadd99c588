"""Compile the Chaboche model, run it through strain cycles with ``neml2-run``, compare and draw it.

Both runs are the same driver of the same input file: once with neml2's native model, once with the
compiled one, which the plugin runs. Artifacts are kept in the cache of the tests, so that a second
demo starts at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parent
OUTPUT = DEMO / "output"
DRIVER = "cyclic"
AGREEMENT = 1e-8
"""Largest accepted difference, relative to the largest value; both sides solve to 1e-10."""

sys.path[:0] = [str(DEMO.parent), str(DEMO.parent.parent / "tests")]
from artifact_cache import Recipe, compile_input  # noqa: E402
from driver_runs import (  # noqa: E402
    Run,
    from_rest,
    native_environment,
    print_comparison,
    require_plugin,
    run,
)


def main() -> int:
    """Run the demo; return 1 where the two runs differ."""
    OUTPUT.mkdir(exist_ok=True)
    require_plugin()
    print("compiling (a few minutes the first time) ...", flush=True)
    case = compile_input(DEMO / "cyclic.i", Recipe(target=("--driver", DRIVER)), name="demo_cyclic")
    plain, remark = native_environment()
    print(f"native run{remark} ...", flush=True)
    native = run(case.model_file, DRIVER, OUTPUT / "native.pt", environment=plain)
    print("compiled run ...", flush=True)
    compiled = run(case.stub, DRIVER, OUTPUT / "compiled.pt")

    agree = print_comparison(native, compiled, AGREEMENT)
    picture = OUTPUT / "cyclic.png"
    draw(native, compiled, picture)
    print(f"\nstress-strain loops: {picture}")
    return 0 if agree else 1


def draw(native: Run, compiled: Run, picture: Path) -> None:
    """Draw axial stress over axial strain, one loop per amplitude."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    strain = from_rest(100 * compiled.history("input", "strain")[..., 0])
    line = from_rest(compiled.history("output", "stress")[..., 0])
    dots = from_rest(native.history("output", "stress")[..., 0])
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    for point in reversed(range(strain.shape[1])):
        colour = f"C{point}"
        amplitude = f"±{strain[:, point].abs().max().item():.1f} %"
        axes.plot(strain[:, point], line[:, point], color=colour, label=f"compiled, {amplitude}")
        axes.plot(
            strain[::3, point], dots[::3, point], "o", color=colour, markersize=3.5,
            markerfacecolor="none", label=f"native, {amplitude}",
        )  # fmt: skip
    axes.set_xlabel("axial strain (%)")
    axes.set_ylabel("axial stress (MPa)")
    axes.set_title("Chaboche viscoplasticity, isochoric strain cycles at 1e-3 1/s")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize="small")
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    sys.exit(main())
