"""Golds of ``TransientRegression``: results by ``input.STEP.NAME`` and ``output.STEP.NAME``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def read(path: Path) -> dict[str, torch.Tensor]:
    """The results in a gold, of this neml2 or, as TorchScript, of version 2."""
    import torch

    try:
        found = torch.load(path, weights_only=True)
    except Exception:
        return dict(torch.jit.load(str(path)).state_dict())  # type: ignore[no-untyped-call]
    return {str(key): value for key, value in found.items()}


def update(path: Path, result: Mapping[str, torch.Tensor]) -> str | None:
    """Write ``result`` as gold, whole or not at all, unless it is there already.

    Returns what was done, ``None`` for nothing.
    """
    is_new = not path.exists()
    if not is_new and _is_same(read(path), result):
        return None
    _write(path, result)
    return "new" if is_new else "changed"


def _is_same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    import torch

    return one.keys() == other.keys() and all(
        value.dtype == other[key].dtype and torch.equal(value, other[key])
        for key, value in one.items()
    )


def _write(path: Path, result: Mapping[str, torch.Tensor]) -> None:
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    partial = Path(name)
    try:
        # Copies, as values may share memory with each other.
        with os.fdopen(handle, "wb") as file:
            torch.save({key: value.clone() for key, value in result.items()}, file)
        partial.chmod(0o644)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
