"""How ``neml2.aoti`` is taken over: our names where its binary's would be, our class registered.

The genuine ``neml2/aoti/__init__.py`` runs on top of a module of ours that stands in for
``neml2.aoti._aoti``. neml2's binary is never opened on that way, so it does not matter which torch
it was built for. The compiled runtime of this package is not opened either, until the first model
is constructed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from _neml2_aoti_plugin_autoload import SWITCH, TARGET, is_debugging, warn_of, warn_once
from neml2_aoti_plugin import native_krylov, native_solvers
from neml2_aoti_plugin.convergence import adopt_loaded_host_class
from neml2_aoti_plugin.errors import adopt_convergence_error, convergence_error_class
from neml2_aoti_plugin.model import Model

BINDING = "neml2.aoti._aoti"
SHIM = "neml2.aoti._shim"

# Our modules that import neml2.
_HOST_MODULES = (
    "neml2_aoti_plugin.hit",
    "neml2_aoti_plugin.aoti_model",
    "neml2_aoti_plugin.typed",
)

# What replaces the names of a binary that is already loaded. Its ConvergenceError stays, callers
# have it in their except clauses.
_REPLACEMENTS: dict[str, Any] = {
    "Model": Model,
    "newton_solve_eager": native_solvers.newton_solve_eager,
    "newton_solve_eager_masked": native_solvers.newton_solve_eager_masked,
    "krylov_solve_eager": native_krylov.krylov_solve_eager,
    "krylov_solve_linear": native_krylov.krylov_solve_linear,
}

# The binary's own objects after a replacement in place, for whoever has to compare the two.
upstream_names: dict[str, Any] = {}


class StandInBinding(ModuleType):
    """Our ``neml2.aoti._aoti``."""

    def __init__(self) -> None:
        super().__init__(BINDING, "The runtime of neml2_aoti_plugin under the name neml2 uses.")
        # importlib.util.find_spec() raises on a module without a spec.
        self.__spec__ = ModuleSpec(BINDING, loader=None, origin="neml2_aoti_plugin")
        self.__package__ = TARGET
        self.ConvergenceError = convergence_error_class()
        vars(self).update(_REPLACEMENTS)


def take_over(aoti: ModuleType, run_genuine: Callable[[ModuleType], None]) -> None:
    """Execute ``neml2.aoti`` on our binding; ``run_genuine`` executes what neml2 shipped."""
    adopt_loaded_host_class()
    binding = _our_binding()
    try:
        our_class = _import_our_class()
    except Exception as error:
        _remove_stand_in()
        if is_debugging():
            raise
        warn_of(error)
        run_genuine(aoti)
        return
    try:
        run_genuine(aoti)
    except Exception as error:
        if is_debugging():
            raise
        binding = _fall_back(aoti, run_genuine, binding, error)
    vars(aoti)["_aoti"] = binding
    _register(our_class, aoti)


def take_over_loaded(aoti: ModuleType) -> None:
    """Replace what a complete ``neml2.aoti`` offers; models that exist keep their runtime."""
    our_class = _import_our_class()
    binding = sys.modules.get(BINDING)
    if binding is not None and not isinstance(binding, StandInBinding):
        replace_in_place(binding)
        vars(aoti)["Model"] = Model
    _register(our_class, aoti)


def _import_our_class() -> type:
    # Whoever imports one of these before neml2 arrives here while that module waits for neml2. It
    # is imported once more, complete this time; Python hands this one to the waiting import too.
    for name in _HOST_MODULES:
        module = sys.modules.get(name)
        if module is not None and getattr(module.__spec__, "_initializing", False):
            del sys.modules[name]
    from neml2_aoti_plugin.hit import AOTIModel

    return AOTIModel


def _register(our_class: type, aoti: ModuleType) -> None:
    """Make ``AOTIModel`` mean ours, in neml2's registry and under both names in ``neml2.aoti``."""
    from neml2.factory import register_neml2_object

    register_neml2_object("AOTIModel")(our_class)
    for module in (aoti, sys.modules.get(SHIM)):
        if module is not None:
            vars(module)["AOTIModel"] = our_class


def replace_in_place(binding: ModuleType) -> None:
    """Put our names into neml2's own loaded binary, and raise its ConvergenceError from now on."""
    adopt_convergence_error(binding.ConvergenceError)
    for name, ours in _REPLACEMENTS.items():
        theirs = getattr(binding, name, None)
        if theirs is not None and theirs is not ours:
            upstream_names.setdefault(name, theirs)
        vars(binding)[name] = ours


def _our_binding() -> ModuleType:
    """What ``neml2.aoti`` imports from: ours, or the loaded binary with our names in it."""
    loaded = sys.modules.get(BINDING)
    if loaded is not None and not isinstance(loaded, StandInBinding):
        replace_in_place(loaded)
        return loaded
    binding = StandInBinding()
    sys.modules[BINDING] = binding
    return binding


def _remove_stand_in() -> None:
    if isinstance(sys.modules.get(BINDING), StandInBinding):
        del sys.modules[BINDING]


def _fall_back(
    aoti: ModuleType,
    run_genuine: Callable[[ModuleType], None],
    binding: ModuleType,
    reason: Exception,
) -> ModuleType:
    """neml2 wants more than we have: its binary with our names in it, or else our names alone."""
    for name in (SHIM, BINDING):
        sys.modules.pop(name, None)
    try:
        run_genuine(aoti)
    except Exception as error:
        sys.modules[BINDING] = binding
        for name in ("Model", "ConvergenceError"):
            vars(aoti)[name] = getattr(binding, name)
        what_now = (
            f"neml2's own runtime does not load either ({type(error).__name__}: {error});"
            " compiled models run on the plugin, other uses of neml2.aoti may fail."
        )
    else:
        binding = sys.modules[BINDING]
        replace_in_place(binding)
        vars(aoti)["Model"] = Model
        what_now = "neml2's own runtime is loaded beside the plugin."
    warn_once(
        "neml2.aoti asks for something that this version of neml2_aoti_plugin does not offer"
        f" ({type(reason).__name__}: {reason}); {what_now} Update the plugin, or switch it off with"
        f" {SWITCH}=0."
    )
    return binding
