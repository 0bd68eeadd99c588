"""What the examples share: runs of a driver with ``neml2-run``, and what they saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

Environment = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One ``neml2-run``: what it saved and logged, and how long the whole process took."""

    result: dict[str, torch.Tensor]
    log: str
    """Standard error, where the channels of ``NEML2_LOGS`` put all details."""
    seconds: float

    def history(self, side: str, name: str) -> torch.Tensor:
        """An ``input`` or ``output`` over all steps after the initial state: ``(step, *batch,
        *base)``. What is the same for all points in some step has no batch axes there."""
        keys = [key.split(".", 2) for key in self.result]
        steps = sorted({int(step) for of, step, _ in keys if of == side})
        values = [self.result[f"{side}.{k}.{name}"] for k in steps if k > 0]
        return torch.stack(torch.broadcast_tensors(*values))

    @property
    def output_names(self) -> list[str]:
        """In alphabetical order."""
        return sorted({key.split(".", 2)[2] for key in self.result if key.startswith("output.")})


def run(
    input_file: Path,
    driver: str,
    saved: Path,
    *overrides: str,
    environment: Environment | None = None,
) -> Run:
    """Run ``driver`` of ``input_file`` with ``neml2-run``, saving to ``saved``.

    ``overrides`` are values to replace, as ``Section/block/option:=value``. Exits with what the
    program said where it fails.
    """
    save = f"Drivers/{driver}/save_as:={saved}"
    command = [tool("neml2-run"), str(input_file), driver, save, *overrides]
    start = time.perf_counter()
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed:\n{done.stdout}{done.stderr}")
    values = torch.load(saved, weights_only=True)
    result = {name: value.detach() for name, value in values.items()}
    return Run(result=result, log=done.stderr, seconds=seconds)


def require_plugin() -> None:
    """Exit unless neml2's catalogue says that ``AOTIModel`` is ours."""
    command = [tool("neml2-syntax"), "--type", "AOTIModel", "--json", "-"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    (entry,) = json.loads(answer.stdout)
    print(f"AOTIModel comes from {entry['source_path']}")
    if not entry["source_path"].startswith("neml2_aoti_plugin/"):
        sys.exit("the plugin is not active: see `python -m neml2_aoti_plugin`")


def native_environment() -> tuple[Environment, str]:
    """Environment of the native run, without the plugin where neml2 can do so, and a remark."""
    environment = os.environ | {"NEML2_AOTI_PLUGIN": "0"}
    command = [sys.executable, "-W", "ignore", "-c", "import neml2, neml2.aoti._aoti"]
    if subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0:
        return environment, " (plugin switched off)"
    remark = f" (solved by the plugin: neml2's own solver was not built for {torch.__version__})"
    return dict(os.environ), remark


def tool(name: str) -> str:
    """A program of the running environment."""
    return str(Path(sys.executable).with_name(name))


def print_comparison(native: Run, compiled: Run, agreement: float) -> bool:
    """Print a table of differences and times; True where all outputs agree.

    ``agreement``: largest accepted difference, relative to the largest value.
    """
    print(f"\n{'output':28}{'largest value':>15}{'difference':>13}{'relative':>11}")
    agree = True
    for name in native.output_names:
        expected = native.history("output", name)
        difference = (compiled.history("output", name) - expected).abs().max().item()
        largest = expected.abs().max().item()
        agree &= difference <= agreement * largest
        print(f"{name:28}{largest:15.6g}{difference:13.2e}{difference / largest:11.2e}")
    print("difference: largest over steps, points and components; relative: to the largest value")
    print(
        "\nwall time of the whole process, start-up included, on this machine as it is now"
        f" (indicative):\n  native {native.seconds:.1f} s, compiled {compiled.seconds:.1f} s"
    )
    if not agree:
        print(f"\nDIFFERENT: the relative difference exceeds {agreement:g}", file=sys.stderr)
    return agree


def from_rest(values: torch.Tensor) -> torch.Tensor:
    """``values`` (step, point) after the initial state, which is zero."""
    return torch.cat([torch.zeros_like(values[:1]), values])
