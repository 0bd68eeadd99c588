"""What runs neml2's compiled models here, and why."""

from __future__ import annotations

import importlib
import os
import platform
import runpy
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

from _neml2_aoti_plugin_autoload import (
    DEBUG_SWITCH,
    SWITCH,
    installed_finder,
    is_switched_off,
)
from neml2_aoti_plugin.version import __version__

AUTOLOAD_SWITCH = "TORCH_DEVICE_BACKEND_AUTOLOAD"


ACTIVE = "active"
"""Subject of the verdict, the last finding; it begins with ``yes``, ``no`` or ``in part``."""


def findings() -> Iterator[tuple[str, str]]:
    """Import torch, neml2 and the compiled core; subject and finding, one after the other.

    The core is imported after all else has been said: a library for another torch may end the
    process.
    """
    warnings.simplefilter("always")
    torch = _try_import("torch")
    neml2 = _try_import("neml2")
    yield "neml2_aoti_plugin", f"{__version__}, {Path(__file__).parent}"
    yield "python", f"{platform.python_version()}, {sys.executable}"
    yield "torch", _describe(torch)
    yield "neml2", _describe(neml2)
    yield "switches", ", ".join(_switches())
    yield "started by torch", _entry_point()
    yield "finder", _finder()
    yield "type AOTIModel", _registered_class(neml2)
    yield "neml2.aoti._aoti", _binding()
    yield "runtime built with", _built_with()
    core = _try_import("neml2_aoti_plugin._core")
    yield "runtime loads", _loads(core)
    yield ACTIVE, _verdict(neml2, core)


def _try_import(name: str) -> ModuleType | Exception:
    try:
        return importlib.import_module(name)
    except Exception as error:
        return error


def _describe(module: ModuleType | Exception) -> str:
    if isinstance(module, Exception):
        return f"cannot be imported ({type(module).__name__}: {module})"
    version = str(getattr(module, "__version__", "version unknown"))
    return f"{version}, {Path(str(module.__file__)).parent}"


def _switches() -> list[str]:
    return [
        f"{name}={os.environ.get(name, '(not set)')}"
        for name in (SWITCH, DEBUG_SWITCH, AUTOLOAD_SWITCH)
    ]


def _entry_point() -> str:
    names = [
        entry.value
        for entry in metadata.entry_points(group="torch.backends")
        if entry.module == "_neml2_aoti_plugin_autoload"
    ]
    if not names:
        return "no: not installed as a distribution, so import neml2_aoti_plugin or use --load"
    if os.environ.get(AUTOLOAD_SWITCH, "1") != "1":
        return f"no: {AUTOLOAD_SWITCH} is {os.environ[AUTOLOAD_SWITCH]!r}"
    return f"yes: entry point {names[0]}"


def _finder() -> str:
    finder = installed_finder()
    if finder is None:
        return "not installed"
    return f"installed, sys.meta_path[{sys.meta_path.index(finder)}]"


def _registered_class(neml2: ModuleType | Exception) -> str:
    registered = _registered(neml2)
    if registered is None:
        return "not registered with neml2"
    return f"{registered.__module__}.{registered.__qualname__}"


def _registered(neml2: ModuleType | Exception) -> type | None:
    if isinstance(neml2, Exception):
        return None
    factory = importlib.import_module("neml2.factory")
    registered: type | None = factory._registry.get("AOTIModel")
    return registered


def _binding() -> str:
    binding = sys.modules.get("neml2.aoti._aoti")
    if binding is None:
        return "not loaded"
    origin = binding.__spec__.origin if binding.__spec__ is not None else None
    return f"from {origin}"


def _built_with() -> str:
    record = Path(__file__).parent / "_core" / "_built_with.py"
    if not record.is_file():
        return "nothing: the compiled part of this package has not been built"
    return f"torch {runpy.run_path(str(record)).get('TORCH', '(not recorded)')}"


def _loads(core: ModuleType | Exception) -> str:
    if isinstance(core, Exception):
        return f"no ({type(core).__name__}: {core})"
    return "yes"


def _verdict(neml2: ModuleType | Exception, core: ModuleType | Exception) -> str:
    if is_switched_off():
        return f"no: switched off by {SWITCH}={os.environ[SWITCH]}"
    if isinstance(neml2, Exception):
        return "no: neml2 cannot be imported; neml2_aoti_plugin.Model does without it"
    registered = _registered(neml2)
    if registered is None or registered.__module__.partition(".")[0] != "neml2_aoti_plugin":
        return f"no: AOTIModel is not ours; {DEBUG_SWITCH}=1 shows why"
    if isinstance(core, Exception):
        return "in part: interpreted models run, compiled models need the runtime above"
    return "yes: neml2 runs its compiled models on this package"
