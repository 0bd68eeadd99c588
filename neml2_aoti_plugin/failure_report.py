"""What it takes to run a failed solve again, in a folder of its own.

::

    <folder>/<time>-<process>-<number>/
        report.json   the message, the rows, settings, versions and the artifact
        call.pt       inputs, parameters and last iterate of the failed rows
        rerun.py      runs exactly these rows again: python rerun.py [ARTIFACT]
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch._C._functorch import is_functorch_wrapped_tensor

from neml2_aoti_plugin.artifact.manifest import Manifest, Shape
from neml2_aoti_plugin.errors import convergence_error_class

if TYPE_CHECKING:
    from neml2_aoti_plugin.errors import ConvergenceError

Tensors = Mapping[str, torch.Tensor]
Results = TypeVar("Results")

MAX_REPORTS = 20
"""By one model: a loop that fails at every step must not fill the disk."""
MAX_ROWS = 1000
"""In one report."""

_FORMAT = 1
_log = logging.getLogger("neml2_aoti_plugin.failures")


class FailureReports:
    """Writes a report of every call of one model that raises ConvergenceError. Threads may share
    one."""

    def __init__(self, folder: str | Path, manifest: Manifest) -> None:
        self.folder = Path(folder).absolute()
        self._manifest = manifest
        self._inputs = {
            v.public_name: (*(v.sub_batch_shape or ()), *v.base_shape) for v in manifest.inputs
        }
        self._written = 0
        self._lock = threading.Lock()

    def watched(
        self,
        call: Callable[[], Results],
        inputs: Tensors,
        *,
        parameters: Callable[[], Tensors],
        settings: Mapping[str, Any],
    ) -> Results:
        """``call()``; where it fails to converge, the error tells of a report.

        ``inputs`` and ``parameters()`` are what the call computes with; ``settings`` is what the
        report says of how the model is run.
        """
        try:
            return call()
        except convergence_error_class() as error:
            self._tell(error, inputs, parameters(), settings)
            raise

    def _tell(
        self, error: Any, inputs: Tensors, parameters: Tensors, settings: Mapping[str, Any]
    ) -> None:
        """Write the report and name it in the error, or say there why there is none."""
        number = self._next_number()
        if number > MAX_REPORTS:
            said = f"This model has written {MAX_REPORTS} reports; no more follow"
        elif any(_is_wrapped(value) for value in (*inputs.values(), *parameters.values())):
            said = "No report: the call is inside a transform of torch.func"
        else:
            try:
                folder = self._write(number, error, inputs, parameters, settings)
                error.report = folder
                said = f"Report: {folder}"
                _log.info("a solve failed; report in %s", folder, extra={"report": str(folder)})
            except (OSError, RuntimeError) as reason:  # torch.save has errors of its own
                said = f"No report could be written: {reason}"
        error.args = (f"{error.args[0]} {said}.", *error.args[1:])

    def _next_number(self) -> int:
        with self._lock:
            self._written += 1
            return self._written

    def _write(
        self,
        number: int,
        error: ConvergenceError,
        inputs: Tensors,
        parameters: Tensors,
        settings: Mapping[str, Any],
    ) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        folder = self.folder / f"{stamp}-{os.getpid()}-{number}"
        aside = folder.with_name(f".{folder.name}")
        batch = tuple(error.converged_mask.shape)
        failed = (~error.converged_mask).flatten().nonzero().flatten()
        kept = failed[:MAX_ROWS]
        report = self._description(error, batch, failed, kept) | {"settings": dict(settings)}
        aside.mkdir(parents=True)
        try:
            torch.save(self._tensors(error, inputs, parameters, kept), aside / "call.pt")
            (aside / "report.json").write_text(json.dumps(report, indent=2) + "\n")
            (aside / "rerun.py").write_text(_RERUN)
            aside.rename(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        return folder

    def _tensors(
        self, error: ConvergenceError, inputs: Tensors, parameters: Tensors, rows: torch.Tensor
    ) -> dict[str, Any]:
        batch = tuple(error.converged_mask.shape)
        return {
            "rows": rows,
            "inputs": {
                name: _rows(inputs[name], tail, batch, rows) for name, tail in self._inputs.items()
            },
            "parameters": {
                name: self._parameter_rows(name, value, batch, rows)
                for name, value in parameters.items()
            },
            "unknowns": {
                name: _rows(value, tuple(value.shape[len(batch) :]), batch, rows)
                for name, value in error.unknowns.items()
            },
        }

    def _parameter_rows(
        self, name: str, value: torch.Tensor, batch: Shape, rows: torch.Tensor
    ) -> torch.Tensor:
        tail = next(p.base_shape for p in self._manifest.parameters if p.public_name == name)
        if value.ndim == len(tail):
            return value.detach().cpu().clone()
        return _rows(value, tail, batch, rows)

    def _description(
        self, error: ConvergenceError, batch: Shape, failed: torch.Tensor, kept: torch.Tensor
    ) -> dict[str, Any]:
        leaf = self._manifest.leaf

        def of_rows(values: torch.Tensor) -> list[Any]:
            listed: list[Any] = values.flatten()[kept].tolist()
            return listed

        return {
            "format": _FORMAT,
            "message": error.args[0],
            "artifact": {
                "path": str(self._manifest.metadata_file),
                "schema_version": self._manifest.schema_version,
                "device": leaf.device,
                "dtype": leaf.dtype,
            },
            "batch": list(batch),
            "failed_rows": failed.tolist() if len(failed) <= MAX_ROWS else len(failed),
            "rows": kept.tolist(),
            "status": of_rows(error.status),
            "iterations": of_rows(error.iterations),
            "residual_norms": [repr(norm) for norm in of_rows(error.residual_norms)],
            "initial_residual_norms": [
                repr(norm) for norm in of_rows(error.initial_residual_norms)
            ],
            "versions": _versions(),
        }


def _rows(value: torch.Tensor, tail: Shape, batch: Shape, rows: torch.Tensor) -> torch.Tensor:
    """The listed rows of a tensor that broadcasts to the batch, (rows, *tail)."""
    whole = value.detach().expand((*batch, *tail)).reshape(-1, *tail)
    return whole[rows.to(whole.device)].cpu()


def _is_wrapped(value: torch.Tensor) -> bool:
    """Whether it is a tensor of a transform, which holds no numbers of its own."""
    return bool(is_functorch_wrapped_tensor(value))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.platform()}
    for package in ("neml2-aoti-plugin", "torch", "neml2", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


_RERUN = '''"""Runs the rows of report.json again, alone: python rerun.py [ARTIFACT].

The exit status is 0 where they fail as they did, 1 where something else happens.
"""

import json
import sys
from pathlib import Path

import torch

from neml2_aoti_plugin import ConvergenceError, DerivativeNotCompiledError, Model
from neml2_aoti_plugin.solves import RowStatus

here = Path(__file__).resolve().parent
report = json.loads((here / "report.json").read_text())
call = torch.load(here / "call.pt", weights_only=True)
artifact, settings = report["artifact"], report["settings"]

path = sys.argv[1] if len(sys.argv) > 1 else artifact["path"]
model = Model(path, device=artifact["device"], dtype=artifact["dtype"])
if settings["solver"]:
    model.set_solver_config(**settings["solver"])
model.set_execution(max_corrections=settings["max_corrections"])

device = artifact["device"]
inputs = {name: value.to(device) for name, value in call["inputs"].items()}
parameters = {name: value.to(device) for name, value in call["parameters"].items()}
solves = []


def run(operation):
    try:
        operation(inputs, param_overrides=parameters, solves=solves)
    except ConvergenceError as error:
        print(error)


if RowStatus.NO_TANGENT in report["status"]:  # which only a derivative asks for
    try:
        run(model.jacobian)
    except DerivativeNotCompiledError:
        run(model.param_jacobian)
else:
    run(model.forward)
last = solves[-1]
print("row  status  iterations  |r0|         |r|")
for k, row in enumerate(report["rows"]):
    print(
        f"{row:<4d} {int(last.status[k]):<7d} {int(last.iterations[k]):<11d}"
        f" {float(last.initial_residual_norms[k]):<12.6g} {float(last.residual_norms[k]):.6g}"
    )
found = [last.status.tolist(), last.iterations.tolist()]
is_same = found == [report["status"], report["iterations"]]
print("as reported" if is_same else f"not as reported: status {report['status']}")
sys.exit(0 if is_same else 1)
'''
