"""Signatures name types as a reader would, where the sources have a name of their own for one."""

from __future__ import annotations

from typing import Any

NAMES = {"_Tensors": "Mapping[str, Tensor]", "Arrays": "Mapping[str, Any]", "Function": "Callable"}


def _shorten(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returned: str
) -> tuple[str, str]:
    for alias, meaning in NAMES.items():
        signature = signature and signature.replace(f": {alias}", f": {meaning}")
        returned = meaning if returned == alias else returned
    return signature, returned


def setup(app: Any) -> dict[str, Any]:
    """Look at every signature before it is written."""
    app.connect("autodoc-process-signature", _shorten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
