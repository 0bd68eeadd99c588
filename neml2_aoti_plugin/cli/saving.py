"""Writes what a driver computed: CSV, NPZ, and VTK for ParaView.

CSV has one line per step and row: ``step``, ``row``, time, then a column per component. NPZ has one
array ``input.NAME`` or ``output.NAME`` per variable, ``(steps, *batch, *sub_batch, *base)``.
"""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from neml2_aoti_plugin.cli.outcome import UsageError

if TYPE_CHECKING:
    import torch

    from neml2_aoti_plugin.cli.history import History, Variable


def check_writable(file: Path | None) -> None:
    """Raise UsageError now, rather than when a long run is over."""
    if file is None:
        return
    folder = file.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"{file}: there is no folder {folder}. Make it, or name another file.")


def check_npz(file: Path | None) -> None:
    check_writable(file)
    if file is not None and importlib.util.find_spec("numpy") is None:
        raise UsageError(f"{file}: NPZ needs the package 'numpy': pip install numpy")


def write_csv(history: History, file: Path) -> None:
    import torch

    variables = history.variables()
    tables = [variable.rows() for variable in variables]
    steps = tables[0].shape[0]
    count = max(table.shape[1] for table in tables)
    columns = torch.cat([table.expand(steps, count, table.shape[2]) for table in tables], dim=2)
    # Inputs and outputs of one name are told apart; others keep their names.
    outputs = {variable.name for variable in history.outputs.values()}
    labels = [
        f"input {label}" if index < len(history.inputs) and variable.name in outputs else label
        for index, variable in enumerate(variables)
        for label in variable.labels()
    ]
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["step", "row", *labels])
        for step in range(steps):
            for row in range(count):
                cells = columns[step, row].tolist()
                writer.writerow([step, row, *("" if cell != cell else cell for cell in cells)])


def write_npz(history: History, file: Path) -> None:
    import numpy as np

    arrays = {
        f"{side}.{name}": variable.values.numpy()
        for side, variables in (("input", history.inputs), ("output", history.outputs))
        for name, variable in variables.items()
    }
    with file.open("wb") as stream:  # numpy would append a suffix to a name
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def write_vtk(history: History, file: Path) -> list[Path]:
    """A ParaView collection ``FILE.pvd`` and one ``FILE_STEP.vtp`` per step; returns all files.

    A model knows no geometry: row ``k`` is the point ``(k, 0, 0)``, and every variable a point
    array whose components have their names.
    """
    stem = file.with_suffix("")
    count = max(variable.rows().shape[1] for variable in history.variables())
    times = history.times.reshape(len(history.times), -1)[:, 0].tolist()
    files = []
    for step in range(len(times)):
        part = stem.with_name(f"{stem.name}_{step:04d}.vtp")
        part.write_text(_poly_data(history, step, count))
        files.append(part)
    entries = "".join(
        f'    <DataSet timestep="{time!r}" file={quoteattr(part.name)}/>\n'
        for time, part in zip(times, files, strict=True)
    )
    collection = stem.with_suffix(".pvd")
    collection.write_text(
        f'<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1">\n  <Collection>\n'
        f"{entries}  </Collection>\n</VTKFile>\n"
    )
    return [collection, *files]


def _poly_data(history: History, step: int, count: int) -> str:
    outputs = set(history.outputs)
    arrays = [
        _data_array(name if name not in outputs else f"input {name}", variable, step, count)
        for name, variable in history.inputs.items()
    ]
    arrays += [
        _data_array(name, variable, step, count) for name, variable in history.outputs.items()
    ]
    points = " ".join(f"{row} 0 0" for row in range(count))
    rows = " ".join(str(row) for row in range(count))
    ends = " ".join(str(row + 1) for row in range(count))
    return (
        '<?xml version="1.0"?>\n<VTKFile type="PolyData" version="0.1">\n  <PolyData>\n'
        f'    <Piece NumberOfPoints="{count}" NumberOfVerts="{count}" NumberOfLines="0" '
        'NumberOfStrips="0" NumberOfPolys="0">\n'
        f"      <PointData>\n{''.join(arrays)}      </PointData>\n"
        '      <Points>\n        <DataArray type="Float64" NumberOfComponents="3" format="ascii">'
        f"{points}</DataArray>\n      </Points>\n"
        '      <Verts>\n        <DataArray type="Int64" Name="connectivity" format="ascii">'
        f'{rows}</DataArray>\n        <DataArray type="Int64" Name="offsets" format="ascii">'
        f"{ends}</DataArray>\n      </Verts>\n    </Piece>\n  </PolyData>\n</VTKFile>\n"
    )


def _data_array(name: str, variable: Variable, step: int, count: int) -> str:
    table: torch.Tensor = variable.rows()[step]
    table = table.expand(count, table.shape[1])
    parts = variable.component_names()
    named = "".join(
        f" ComponentName{index}={quoteattr(part)}" for index, part in enumerate(parts) if part
    )
    values = " ".join(f"{value!r}" for value in table.reshape(-1).tolist())
    return (
        f'        <DataArray type="Float64" Name={quoteattr(name)} '
        f'NumberOfComponents="{len(parts)}"{named} format="ascii">{values}</DataArray>\n'
    )
