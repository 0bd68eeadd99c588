"""A fresh interpreter for every test: what these tests ask is what happens during an import."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path

import pytest
from fresh_interpreter import HERE, Interpreter


@pytest.fixture
def interpreter(tmp_path: Path, search_path: list[Path]) -> Interpreter:
    pytest.importorskip("neml2")
    folder = tmp_path / "empty"
    folder.mkdir()
    return Interpreter(search_path, folder)


@pytest.fixture
def lenient_interpreter(interpreter: Interpreter) -> Interpreter:
    """For runs in which neml2 itself warns, of its binary or of what the test broke on purpose."""
    return Interpreter(interpreter.search_path, interpreter.folder, warnings="default")


@pytest.fixture(scope="session")
def search_path(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """This folder and the package; where it is not installed, an entry point for it as well."""
    spec = importlib.util.find_spec("_neml2_aoti_plugin_autoload")
    assert spec is not None
    assert spec.origin is not None
    tree = Path(spec.origin).parent
    entries = metadata.entry_points(group="torch.backends")
    if any(entry.module == "_neml2_aoti_plugin_autoload" for entry in entries):
        return [HERE, tree]
    return [HERE, tree, _distribution(tmp_path_factory.mktemp("distribution"))]


def _distribution(folder: Path) -> Path:
    record = folder / "neml2_aoti_plugin_test-0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: neml2_aoti_plugin_test\nVersion: 0\n"
    )
    (record / "entry_points.txt").write_text(
        "[torch.backends]\nneml2_aoti_plugin = _neml2_aoti_plugin_autoload:autoload\n"
    )
    return folder


@pytest.fixture(scope="session")
def binary_loads(tmp_path_factory: pytest.TempPathFactory) -> bool:
    """Whether neml2's own binary opens on the torch of this environment."""
    pytest.importorskip("neml2")
    bare = Interpreter([], tmp_path_factory.mktemp("bare"), warnings="ignore")
    return bare.run("-c", "import neml2.aoti", NEML2_AOTI_PLUGIN="0").returncode == 0


@pytest.fixture(scope="session")
def binary_works(binary_loads: bool) -> bool:
    """Whether it also computes: on torch 2.13 it opens and misreads batches."""
    version = metadata.version("torch").split("+")[0].split(".")
    return binary_loads and (int(version[0]), int(version[1])) < (2, 13)
