"""Golds of ``TransientRegression``: results by ``input.STEP.NAME`` and ``output.STEP.NAME``."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from neml2_aoti_plugin.artifact.whole_file import READABLE, write_whole

if TYPE_CHECKING:
    import torch


def read(path: Path) -> dict[str, torch.Tensor]:
    """The results in a gold, of this neml2 or, as TorchScript, of version 2."""
    import torch

    try:
        found = torch.load(path, weights_only=True)
    except Exception:
        with warnings.catch_warnings():
            # Whoever has such a file has no use for advice on what to write instead.
            warnings.filterwarnings("ignore", message="`torch.jit.load` is deprecated")
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
    content = io.BytesIO()
    # Copies, as values may share memory with each other.
    torch.save({key: value.clone() for key, value in result.items()}, content)
    write_whole(path, content.getvalue(), mode=READABLE)
