"""Does one task in a process of its own and prints what it measured as JSON.

``suite/fresh.py`` starts it: ``python probe.py '{"runtime": "ours", "task": "load", ...}'``.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

BENCHMARKS = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent / "tests")]

from suite.disturbance import read  # noqa: E402
from suite.history import overrides  # noqa: E402
from suite.loadings import all_hard  # noqa: E402
from suite.machine import kernel_bytes  # noqa: E402
from suite.models import MODELS, BenchModel, Tensors, increment  # noqa: E402
from suite.operations import OPERATIONS  # noqa: E402
from suite.runtimes import Runtime  # noqa: E402

from neml2_aoti_plugin.artifact import read_artifact  # noqa: E402

WARM_ROWS = 16


def _inputs(model: BenchModel, root: Path, rows: int) -> Tensors:
    manifest = read_artifact(root, device="cpu", dtype=None)
    return increment(model, manifest, all_hard(rows, model.easiest))


def load(runtime: Runtime, case: str) -> dict[str, Any]:
    """Opens the model and runs one row forward. torch itself is warm, nothing else is."""
    model = MODELS[case]
    root = model.compiled().root
    inputs = _inputs(model, root, rows=1)
    _import_runtimes()
    torch.linalg.solve(torch.eye(3), torch.ones(3))
    before = read()
    runtime.open(root).forward(inputs)
    return {"during": asdict(read() - before)}


def _import_runtimes() -> None:
    import neml2.aoti  # noqa: F401

    # What the first model of a process imports; neml2's package has imported its own by then.
    import neml2_aoti_plugin.core_bridge
    import neml2_aoti_plugin.model
    import neml2_aoti_plugin.operators  # noqa: F401


def memory(runtime: Runtime, case: str, operation: str, rows: int) -> dict[str, Any]:
    """The growth of a call over the state after a small one."""
    model = MODELS[case]
    root = model.compiled(promoted=operation == "param_vjp").root
    opened = runtime.open(root)
    OPERATIONS[operation](opened, model, _inputs(model, root, WARM_ROWS))()
    call = OPERATIONS[operation](opened, model, _inputs(model, root, rows))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status("VmRSS")
    call()
    return {"bytes": _status("VmHWM") - before}


def _status(field: str) -> int:
    return kernel_bytes("/proc/self/status", field)


def driver(runtime: Runtime, case: str, rows: int, result: str) -> dict[str, Any]:
    """A history through neml2's driver, as ``neml2-run`` does it, without start-up and parsing."""
    from neml2.factory import load_input

    torch.set_default_dtype(torch.float64)
    stub = MODELS[case].compiled().stub
    factory = load_input(str(stub), additional_args=overrides(rows), device="cpu", dtype="float64")
    transient = factory.get_driver("driver")
    before = read()
    transient.run()
    during = read() - before
    outputs = transient.result()
    last = max(int(name.split(".")[1]) for name in outputs if name.startswith("output."))
    torch.save(outputs[f"output.{last}.stress"].detach(), result)
    return {"during": asdict(during), "model": type(transient.model).__module__}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "load": load,
    "memory": memory,
    "driver": driver,
}


def main() -> None:
    """Answer the request on the command line."""
    request = json.loads(sys.argv[1])
    task = TASKS[request.pop("task")]
    print(json.dumps(task(Runtime(request.pop("runtime")), **request)))


if __name__ == "__main__":
    main()
