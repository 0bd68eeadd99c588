"""Compile the Chaboche model, run it through strain cycles with ``neml2-run``, compare and draw it.

Both runs are the same driver of the same input file: once with neml2's native model, once with the
compiled one, which the plugin runs. Artifacts are kept in the cache of the tests, so that a second
demo starts at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

DEMO = Path(__file__).resolve().parent
OUTPUT = DEMO / "output"
DRIVER = "cyclic"
AGREEMENT = 1e-8
"""Largest accepted difference, relative to the largest value; both sides solve to 1e-10."""

sys.path.insert(0, str(DEMO.parent.parent / "tests"))
from artifact_cache import Recipe, compile_input  # noqa: E402


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One ``neml2-run``: what it saved, and how long the whole process took."""

    result: dict[str, torch.Tensor]
    seconds: float


def main() -> int:
    """Run the demo; return 1 where the two runs differ."""
    OUTPUT.mkdir(exist_ok=True)
    require_plugin()
    print("compiling (a few minutes the first time) ...", flush=True)
    case = compile_input(DEMO / "cyclic.i", Recipe(target=("--driver", DRIVER)), name="demo_cyclic")
    plain, remark = native_environment()
    print(f"native run{remark} ...", flush=True)
    native = run(case.model_file, OUTPUT / "native.pt", plain)
    print("compiled run ...", flush=True)
    compiled = run(case.stub, OUTPUT / "compiled.pt", dict(os.environ))

    agree = print_comparison(native, compiled)
    picture = OUTPUT / "cyclic.png"
    draw(native.result, compiled.result, picture)
    print(f"\nstress-strain loops: {picture}")
    return 0 if agree else 1


def require_plugin() -> None:
    """Exit unless neml2's catalogue says that ``AOTIModel`` is ours."""
    command = [tool("neml2-syntax"), "--type", "AOTIModel", "--json", "-"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    (entry,) = json.loads(answer.stdout)
    print(f"AOTIModel comes from {entry['source_path']}")
    if not entry["source_path"].startswith("neml2_aoti_plugin/"):
        sys.exit("the plugin is not active: see `python -m neml2_aoti_plugin`")


def native_environment() -> tuple[dict[str, str], str]:
    """Environment of the native run, without the plugin where neml2 can do so, and a remark."""
    environment = os.environ | {"NEML2_AOTI_PLUGIN": "0"}
    command = [sys.executable, "-W", "ignore", "-c", "import neml2, neml2.aoti._aoti"]
    if subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0:
        return environment, " (plugin switched off)"
    remark = f" (solved by the plugin: neml2's own solver was not built for {torch.__version__})"
    return dict(os.environ), remark


def run(input_file: Path, saved: Path, environment: dict[str, str]) -> Run:
    """Run the demo's driver of ``input_file`` with ``neml2-run``, saving to ``saved``."""
    save = f"Drivers/{DRIVER}/save_as:={saved}"
    start = time.perf_counter()
    subprocess.run([tool("neml2-run"), str(input_file), DRIVER, save], check=True, env=environment)
    seconds = time.perf_counter() - start
    values = torch.load(saved, weights_only=True)
    return Run(result={name: value.detach() for name, value in values.items()}, seconds=seconds)


def tool(name: str) -> str:
    """A program of the running environment."""
    return str(Path(sys.executable).with_name(name))


def history(result: dict[str, torch.Tensor], side: str, name: str) -> torch.Tensor:
    """A variable over all steps after the initial state: ``(step, *batch, *base)``."""
    steps = sorted(int(key.split(".")[1]) for key in result if key.startswith(f"{side}."))
    return torch.stack([result[f"{side}.{k}.{name}"] for k in sorted(set(steps)) if k > 0])


def print_comparison(native: Run, compiled: Run) -> bool:
    """Print a table of differences and times; True where all outputs agree."""
    names = sorted({key.split(".", 2)[2] for key in native.result if key.startswith("output.")})
    print(f"\n{'output':28}{'largest value':>15}{'difference':>13}{'relative':>11}")
    agree = True
    for name in names:
        expected = history(native.result, "output", name)
        difference = (history(compiled.result, "output", name) - expected).abs().max().item()
        largest = expected.abs().max().item()
        agree &= difference <= AGREEMENT * largest
        print(f"{name:28}{largest:15.6g}{difference:13.2e}{difference / largest:11.2e}")
    print("difference: largest over steps, points and components; relative: to the largest value")
    print(
        "\nwall time of the whole process, start-up included, on this machine as it is now"
        f" (indicative):\n  native {native.seconds:.1f} s, compiled {compiled.seconds:.1f} s"
    )
    if not agree:
        print(f"\nDIFFERENT: the relative difference exceeds {AGREEMENT:g}", file=sys.stderr)
    return agree


def from_rest(values: torch.Tensor) -> torch.Tensor:
    """``values`` (step, point) after the initial state, which is zero."""
    return torch.cat([torch.zeros_like(values[:1]), values])


def draw(native: dict[str, torch.Tensor], compiled: dict[str, torch.Tensor], picture: Path) -> None:
    """Draw axial stress over axial strain, one loop per amplitude."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    strain = from_rest(100 * history(compiled, "input", "strain")[..., 0])
    line = from_rest(history(compiled, "output", "stress")[..., 0])
    dots = from_rest(history(native, "output", "stress")[..., 0])
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
