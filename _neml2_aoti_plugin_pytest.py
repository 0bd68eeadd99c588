"""What pytest loads: the options, hooks and fixtures that test neml2 input files.

pytest imports the entry points of the group ``pytest11`` in every run, so this is a module of its
own: standard library and pytest only. The package, and with it neml2 and torch, is imported when
``--neml2`` or ``neml2_inputs = true`` asks for tests of input files, or a test for a fixture.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from neml2_aoti_plugin.testing.collection import DriverItem, InputFileNode
    from neml2_aoti_plugin.testing.fixtures import ArtifactFactory

VARIANTS = ("native", "compiled")
"""What is run of each driver; ``stub`` is that of a file that is compiled already."""

GOLD_WRITTEN = "neml2_gold"
"""Name of the property of a test report that says which gold file was written."""

_MARKERS = (
    "neml2: a driver of a neml2 input file",
    "native: runs neml2's own model",
    "compiled: runs the model compiled by neml2-compile",
    "stub: runs an input file that names a compiled model",
)


class Hooks:
    """Hooks that a conftest.py may implement."""

    @pytest.hookspec(firstresult=True)
    def pytest_neml2_artifact(self, item: DriverItem) -> Path | None:
        """The stub (``<model>_aoti.i``) that the variant ``compiled`` of a driver runs.

        ``item.input_file``, ``item.driver``, ``item.model``, ``item.device`` and ``item.dtype`` say
        what is wanted. ``None`` leaves it to others, at last to the plugin, which compiles.
        """


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("neml2", "neml2 input files")
    group.addoption("--neml2", action="store_true", help="collect drivers of .i files as tests")
    group.addoption(
        "--neml2-variants", metavar="NAMES", help="of native,compiled; default: ini neml2_variants"
    )
    group.addoption(
        "--neml2-device", metavar="DEVICE", default="cpu", help="to run on, default: cpu"
    )
    group.addoption(
        "--neml2-dtype",
        choices=("float64", "float32"),
        default="float64",
        help="to run in, default: float64",
    )
    group.addoption(
        "--update-gold", action="store_true", help="write what native drivers compute as their gold"
    )
    parser.addini("neml2_inputs", "collect drivers of .i files as tests", "bool", default=False)
    parser.addini("neml2_variants", "variants to run", "args", default=list(VARIANTS))
    parser.addini("neml2_exclude", "globs of .i files, from the root folder", "args", default=[])
    parser.addini("neml2_compile_args", "options for neml2-compile", "args", default=[])
    parser.addini("neml2_cache", "folder for compiled models, default: in pytest's cache")
    parser.addini("neml2_driver_types", "further driver types that are tests", "args", default=[])


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if is_on(config):
        variants(config)


def is_on(config: pytest.Config) -> bool:
    """Whether input files are tests in this run."""
    return bool(config.getoption("neml2") or config.getini("neml2_inputs"))


def variants(config: pytest.Config) -> tuple[str, ...]:
    """What to run of each driver that is not compiled already."""
    given = config.getoption("neml2_variants")
    names = given.replace(",", " ").split() if given else config.getini("neml2_variants")
    unknown = [name for name in names if name not in VARIANTS]
    if unknown or not names:
        source = "--neml2-variants" if given else "neml2_variants"
        raise pytest.UsageError(
            f"{source} is '{' '.join(names)}'; expected one or both of {' '.join(VARIANTS)}."
        )
    return tuple(name for name in VARIANTS if name in names)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Stubs in the cache of compiled models are no tests."""
    cache = config.getini("neml2_cache")
    return True if cache and collection_path == config.rootpath / cache else None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> InputFileNode | None:
    if file_path.suffix != ".i" or not is_on(parent.config):
        return None
    from neml2_aoti_plugin.testing.collection import InputFileNode, is_excluded

    if is_excluded(file_path, parent.config):
        return None
    return InputFileNode.from_parent(parent, path=file_path)


@pytest.hookimpl(trylast=True)
def pytest_neml2_artifact(item: DriverItem) -> Path:
    from neml2_aoti_plugin.testing.fixtures import compile_for

    return compile_for(item).stub


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the golds that were written, also by the workers of pytest-xdist."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    written = [
        str(value)
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == GOLD_WRITTEN
    ]
    if written:
        terminalreporter.section("golds written")
        for line in sorted(written):
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def neml2_device(pytestconfig: pytest.Config) -> str:
    """The torch device that ``--neml2-device`` names."""
    return str(pytestconfig.getoption("neml2_device"))


@pytest.fixture(scope="session")
def neml2_dtype(pytestconfig: pytest.Config) -> str:
    """The name of the dtype that ``--neml2-dtype`` names."""
    return str(pytestconfig.getoption("neml2_dtype"))


@pytest.fixture(scope="session")
def compiled_artifact(pytestconfig: pytest.Config) -> ArtifactFactory:
    """``compiled_artifact("model.i", model="model", derivatives=["stress:strain"])``: a compiled
    model, taken from the cache where it was compiled before."""
    from neml2_aoti_plugin.testing.fixtures import ArtifactFactory

    return ArtifactFactory(pytestconfig)
