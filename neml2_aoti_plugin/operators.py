"""The custom operators that graphs call, provided before any graph is opened."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Collection

from neml2_aoti_plugin.artifact.package import OPAQUE_POW


def provide_operators(operators: Collection[str]) -> None:
    """Make sure that ``neml2::opaque_pow`` exists, and is fast, if it is one of ``operators``.

    neml2 defines the operator when it is imported and fails if it exists already, so where neml2 is
    installed its own definition comes first; ours is for hosts without neml2.
    """
    if OPAQUE_POW not in operators:
        return
    from neml2_aoti_plugin import _core

    if not _core.has_opaque_pow():
        if importlib.util.find_spec("neml2") is not None:
            importlib.import_module("neml2.types")
        _core.define_opaque_pow()
    _core.accelerate_opaque_pow()
