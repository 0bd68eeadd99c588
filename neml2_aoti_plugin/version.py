"""The version of the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("neml2-aoti-plugin")
except PackageNotFoundError:
    __version__ = "0+not.installed"  # run from a source tree
