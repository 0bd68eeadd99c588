"""Questions that the tests ask inside the interpreter under test."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType


def assert_active() -> None:
    """Registry, both modules and the package name one class each; no compiled code is open yet."""
    modules = {
        name: importlib.import_module(name)
        for name in ("neml2.factory", "neml2.aoti", "neml2.aoti._aoti", "neml2.aoti._shim")
    }
    plugin = importlib.import_module("neml2_aoti_plugin")
    assert modules["neml2.factory"]._registry["AOTIModel"] is plugin.AOTIModel
    assert modules["neml2.aoti"].AOTIModel is plugin.AOTIModel
    assert modules["neml2.aoti._shim"].AOTIModel is plugin.AOTIModel
    assert modules["neml2.aoti"].Model is plugin.Model
    assert modules["neml2.aoti._aoti"].Model is plugin.Model
    assert convergence_errors() == {plugin.ConvergenceError}
    assert importlib.util.find_spec("neml2.aoti._aoti") is not None
    assert "neml2_aoti_plugin._core" not in sys.modules


def assert_inactive() -> None:
    """neml2 as it would be without the package."""
    factory = importlib.import_module("neml2.factory")
    registered = factory._registry.get("AOTIModel")
    assert registered is None or registered.__module__ == "neml2.aoti._shim"
    assert not [finder for finder in sys.meta_path if "aoti_plugin" in type(finder).__module__]


def convergence_errors() -> set[type]:
    """Every ConvergenceError of neml2; releases before 3.0.7 have none in their solvers."""
    names = ("neml2.aoti", "neml2.aoti._aoti", "neml2.solvers")
    modules = [sys.modules[name] for name in names if name in sys.modules]
    return {module.ConvergenceError for module in modules if hasattr(module, "ConvergenceError")}


def opened_neml2_libraries() -> list[str]:
    """neml2's shared objects mapped into this process."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    files = {Path(line.split()[-1]).name for line in lines}
    return sorted(name for name in files if name.startswith(("libneml2", "_aoti.")))


class FutureRelease:
    """Finds a ``neml2.aoti`` that also imports ``name`` from its binary, as a later one may."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(
        self, fullname: str, path: list[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "neml2.aoti":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _DemandingLoader(fullname, spec.origin, self.name)
        return spec


class _DemandingLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, name: str) -> None:
        super().__init__(fullname, path)
        self.wanted = name

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        exec(f"from ._aoti import {self.wanted}", vars(module))
