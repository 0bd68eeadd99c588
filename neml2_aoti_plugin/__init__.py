"""Runs neml2's compiled models on the torch that is installed.

Importing this package prepares neml2, imported or not, to use the runtime of this package for its
``AOTIModel`` (see :func:`activate`); it imports neither torch nor neml2. The other names are
loaded on first access::

    from neml2_aoti_plugin import Model

    model = Model("aoti/elasticity")
    outputs = model.forward({"strain": strain})

PYTEST_DONT_REWRITE: pytest would warn where neml2 was imported before it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Absolute imports throughout: ``neml2-run --load`` executes this file under a name of its own when
# the working directory holds a folder called neml2_aoti_plugin. Such a copy then shares every
# module, and every class, with the real package.
from neml2_aoti_plugin.activation import activate

if TYPE_CHECKING:
    from neml2_aoti_plugin.errors import (
        AOTIError,
        ArtifactError,
        ArtifactNotFoundError,
        ConvergenceError,
        DerivativeNotCompiledError,
        InputError,
        InputTypeError,
        IntegrityError,
        LeafRequestError,
        UnsupportedFeatureError,
        UnsupportedSchemaError,
    )
    from neml2_aoti_plugin.hit import AOTIModel
    from neml2_aoti_plugin.model import Model

    __version__: str

__all__ = [
    "AOTIError",
    "AOTIModel",
    "ArtifactError",
    "ArtifactNotFoundError",
    "ConvergenceError",
    "DerivativeNotCompiledError",
    "InputError",
    "InputTypeError",
    "IntegrityError",
    "LeafRequestError",
    "Model",
    "UnsupportedFeatureError",
    "UnsupportedSchemaError",
    "__version__",
    "activate",
]

_MODULE_OF = {
    "AOTIModel": "neml2_aoti_plugin.hit",
    "Model": "neml2_aoti_plugin.model",
    "ConvergenceError": "neml2_aoti_plugin.convergence",
    "__version__": "neml2_aoti_plugin.version",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'neml2_aoti_plugin' has no attribute {name!r}")
    module = importlib.import_module(_MODULE_OF.get(name, "neml2_aoti_plugin.errors"))
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


activate()
