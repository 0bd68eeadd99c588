"""What ``import torch`` runs: install the finder that hands ``neml2.aoti`` to the plugin.

torch calls :func:`autoload` through the entry-point group ``torch.backends``. An entry point that
raises or is missing makes ``import torch`` fail for the whole environment, so this is a module of
its own: standard library only, importing nothing of the package until ``neml2.aoti`` is executed,
and content to do nothing where the package has been removed.

PYTEST_DONT_REWRITE: pytest would warn where torch was imported before it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SWITCH = "NEML2_AOTI_PLUGIN"
DEBUG_SWITCH = "NEML2_AOTI_PLUGIN_DEBUG"
TARGET = "neml2.aoti"

_Execute = Callable[[ModuleType], None]
_TakeOver = Callable[[ModuleType, _Execute], None]

_OFF_WORDS = frozenset({"0", "off", "false", "no"})
_ON_WORDS = frozenset({"1", "on", "true", "yes"})


def autoload() -> None:
    """The entry point. Never raises."""
    with contextlib.suppress(Exception):
        install()


def is_switched_off() -> bool:
    """Whether ``NEML2_AOTI_PLUGIN`` asks for neml2 as it is."""
    return os.environ.get(SWITCH, "").strip().lower() in _OFF_WORDS


def is_debugging() -> bool:
    """Whether ``NEML2_AOTI_PLUGIN_DEBUG`` asks for errors instead of a fallback."""
    return os.environ.get(DEBUG_SWITCH, "").strip().lower() in _ON_WORDS


def install() -> None:
    """Put the finder in front of ``sys.meta_path``, once."""
    if not is_switched_off() and installed_finder() is None:
        sys.meta_path.insert(0, Finder())


def installed_finder() -> Finder | None:
    """The finder at work in this process."""
    return next((finder for finder in sys.meta_path if isinstance(finder, Finder)), None)


class Finder(MetaPathFinder):
    """Answers for ``neml2.aoti`` alone, with the genuine module in the hands of our loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != TARGET or is_switched_off():
            return None
        spec = self._genuine_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = TakeOverLoader(spec.loader)
        return spec

    def _genuine_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        # Only the finders behind us: another hook that asks "all others" would ask us in turn.
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            find_spec = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec and find_spec(fullname, path, target)
            if spec is not None:
                return spec
        return None


class TakeOverLoader(Loader):
    """The genuine loader in everything but the execution of the module."""

    is_at_work = False  # while true, importing the package must not activate it a second time

    def __init__(self, genuine: Any) -> None:
        self._genuine = genuine

    def __getattr__(self, name: str) -> Any:
        if name == "_genuine":  # not set yet, for instance while being copied
            raise AttributeError(name)
        return getattr(self._genuine, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._genuine.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._genuine
        if module.__spec__ is not None:
            module.__spec__.loader = self._genuine
        TakeOverLoader.is_at_work = True
        try:
            take_over = _import_take_over()
            if take_over is None:
                self._genuine.exec_module(module)
            else:
                take_over(module, self._genuine.exec_module)
        finally:
            TakeOverLoader.is_at_work = False


def _import_take_over() -> _TakeOver | None:
    """The function that takes ``neml2.aoti`` over; None leaves neml2 as it is."""
    try:
        from neml2_aoti_plugin.takeover import take_over
    except Exception as error:
        if is_debugging():
            raise
        if not _is_removed_package(error):
            warn_of(error)
        return None
    return take_over


def _is_removed_package(error: Exception) -> bool:
    """An uninstall that left this module behind is no reason to bother anybody."""
    return isinstance(error, ModuleNotFoundError) and error.name in {
        "neml2_aoti_plugin",
        "neml2_aoti_plugin.takeover",
    }


def warn_of(error: Exception) -> None:
    """Say that neml2 is left alone, and what can be done about it."""
    warn_once(
        "neml2_aoti_plugin cannot be used and leaves neml2 as it is"
        f" ({type(error).__name__}: {error}). Reinstall or uninstall the plugin;"
        f" {SWITCH}=0 switches it off, {DEBUG_SWITCH}=1 shows the whole error."
    )


def warn_once(message: str) -> None:
    """Warn of the first trouble only: neml2 imports ``neml2.aoti`` up to three times."""
    global _has_warned
    if not _has_warned:
        _has_warned = True
        warnings.warn(message, RuntimeWarning, stacklevel=2)


_has_warned = False
