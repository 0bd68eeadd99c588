"""Measurements that need a process of their own: opening a model, peak memory, a driver's run.

The parent's side; ``probe.py`` is the child's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suite.blocks import Block
from suite.disturbance import Reading
from suite.machine import kernel_bytes
from suite.runtimes import Runtime

PROBE = Path(__file__).resolve().parent.parent / "probe.py"


class ProbeError(RuntimeError):
    """The process failed; the message holds what it said."""


def probe(
    runtime: Runtime, task: str, *, threads: int, caches: Path | None = None, **what: Any
) -> dict[str, Any]:
    """The answer of a fresh process to ``task``.

    ``caches``: where it keeps what is to be found again by the next process.
    """
    environment = runtime.environment() | {"OMP_NUM_THREADS": str(threads)}
    if caches is not None:
        environment["XDG_CACHE_HOME"] = str(caches)
    request = json.dumps({"runtime": runtime.value, "task": task, **what})
    child = subprocess.run(
        [sys.executable, str(PROBE), request],
        env=environment,
        cwd=tempfile.gettempdir(),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        end = "\n".join(child.stderr.splitlines()[-20:])
        raise ProbeError(f"{task} with {runtime.value} exited with {child.returncode}:\n{end}")
    answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return answer


def first_time(runtime: Runtime, case: str, threads: int) -> Callable[[], Block]:
    """Makes blocks of one opening each, by a process that finds no caches."""

    def block() -> Block:
        with tempfile.TemporaryDirectory() as empty:
            return _block(_opening(runtime, case, threads, Path(empty)))

    return block


def second_time(runtime: Runtime, case: str, threads: int, caches: Path) -> Callable[[], Block]:
    """Makes blocks of one opening each, by a process that finds what an earlier one left."""
    _opening(runtime, case, threads, caches)
    return lambda: _block(_opening(runtime, case, threads, caches))


def _opening(runtime: Runtime, case: str, threads: int, caches: Path) -> dict[str, Any]:
    return probe(runtime, "load", threads=threads, caches=caches, case=case)


def driver_run(
    runtime: Runtime, case: str, threads: int, rows: int, result: Path
) -> Callable[[], Block]:
    """Makes blocks of one whole run of a driver each; the last stress is left in ``result``."""
    what = {"case": case, "rows": rows, "result": str(result)}
    return lambda: _block(probe(runtime, "driver", threads=threads, **what))


def peak_growth(runtime: Runtime, case: str, operation: str, rows: int, threads: int) -> float:
    """Bytes by which a call makes the process grow at most, its results among them."""
    what = {"case": case, "operation": operation, "rows": rows}
    return float(probe(runtime, "memory", threads=threads, **what)["bytes"])


def _block(answer: dict[str, Any]) -> Block:
    return Block(during=Reading(**answer["during"]), calls=1)


def available_memory() -> int:
    """Bytes that processes could still take without swapping."""
    return kernel_bytes("/proc/meminfo", "MemAvailable")
