"""What the figures depend on: the machine, the versions, and what else was running."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Goes into every record."""

    cpu: str
    cores: int
    threads: int
    kernel_threads: int
    """What the kernels of the artifacts were generated for."""
    tuned_kernels: bool
    """Whether the plugin ran kernels that were compiled again, as ``neml2-aoti tune`` does."""
    memory_gib: float
    system: str
    python: str
    torch: str
    neml2: str
    plugin: str
    commit: str
    load_average: tuple[float, float, float]
    """At the start: over 1, 5 and 15 minutes."""


def describe(threads: int, kernel_threads: int, *, is_tuned: bool) -> Machine:
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        threads=threads,
        kernel_threads=kernel_threads,
        tuned_kernels=is_tuned,
        memory_gib=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        system=platform.platform(),
        python=platform.python_version(),
        torch=metadata.version("torch"),
        neml2=metadata.version("neml2"),
        plugin=metadata.version("neml2_aoti_plugin"),
        commit=_commit(),
        load_average=os.getloadavg(),
    )


def kernel_bytes(file: str, field: str) -> int:
    """A size that the kernel states in KiB, as in ``/proc/meminfo`` and ``/proc/self/status``."""
    for line in Path(file).read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"{file} has no {field}")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    """Of the sources; ``+`` says that they are not exactly that."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
    answer = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
