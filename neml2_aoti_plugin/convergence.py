"""Which class a failed solve raises, so that one ``except`` clause serves host and plugin."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from _neml2_aoti_plugin_autoload import is_switched_off
from neml2_aoti_plugin.errors import adopt_convergence_error, convergence_error_class


def __getattr__(name: str) -> Any:
    """``ConvergenceError``: the one class of this process, found when it is asked for.

    With the plugin active that is ours, or the host's where the host came first. Switched off, it
    is the host's, which is imported for the purpose.
    """
    if name != "ConvergenceError":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if is_switched_off():
        _import_host()
        adopt_loaded_host_class()
    return convergence_error_class()


def make_convergence_error(message: str, data: dict[str, Any]) -> RuntimeError:
    """What the compiled core raises: the class of this process, ``data`` as its attributes."""
    if is_switched_off():
        adopt_loaded_host_class()
    error = convergence_error_class()(message)
    for name, value in data.items():
        setattr(error, name, value)
    return error


def adopt_loaded_host_class() -> None:
    """Raise the class of the host from now on, where the host is loaded and has one."""
    for module_name in ("neml2.aoti", "neml2.solvers"):
        host_class = getattr(sys.modules.get(module_name), "ConvergenceError", None)
        if host_class is not None:
            adopt_convergence_error(host_class)
            return


def _import_host() -> None:
    for module_name in ("neml2.aoti", "neml2.solvers"):
        try:
            importlib.import_module(module_name)
        except ImportError:
            continue  # no neml2 here, or a binary built for another torch
