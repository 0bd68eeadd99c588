"""The direction of dependence: which folder of the core may include which, which module may import
which. Lower layers never know higher ones."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
CORE = PROJECT / "csrc"
PACKAGE = PROJECT / "neml2_aoti_plugin"
NAME = PACKAGE.name

# --- C++: folder to the folders, or single headers, that it may include beside itself.

LOWEST = ("description/", "errors.h")
ALLOWED_INCLUDES: dict[str, tuple[str, ...]] = {
    "": (),
    "description": (),
    "execution": (),
    "layout": LOWEST,
    "numerics": ("execution/", "layout/", *LOWEST),
    "graphs": ("execution/region_threads.h", "errors.h"),
    "segments": ("graphs/", "numerics/", "execution/", "layout/", *LOWEST),
    "model": (
        "segments/",
        "graphs/graph_store.h",
        "execution/",
        "numerics/convergence_error.h",
        "numerics/row_matmul.h",
        "numerics/rows.h",
        "layout/",
        *LOWEST,
    ),
    "operators": (),
    "bindings": (
        "model/",
        "description/",
        "operators/",
        "graphs/exchanges.h",
        "numerics/convergence_error.h",
        "numerics/newton.h",
        "errors.h",
    ),
}
ONLY_FOLDER_FOR = {
    "pybind11/": "bindings",
    "torch/csrc/utils/pybind.h": "bindings",
    "torch/csrc/autograd/python": "bindings",
    "torch/csrc/inductor/": "graphs",
    "torch/library.h": "operators",
}
PURE_FILES = (
    "errors.h",
    "execution/blocks.h",
    "execution/blocks.cpp",
    "execution/team.h",
    "description/model_description.h",
    "description/segment.h",
    "description/solver_settings.h",
    "description/variable.h",
    "graphs/remembered_pow.h",
    "graphs/remembered_pow.cpp",
    "graphs/small_products.h",
    "graphs/small_products.cpp",
    "layout/shapes.h",
    "layout/shapes.cpp",
    "layout/shape_table.h",
    "layout/shape_table.cpp",
    "numerics/batched_lu.h",
    "numerics/batched_lu.cpp",
    "numerics/convergence.h",
)


def _core_files() -> list[Path]:
    return sorted(path for path in CORE.rglob("*") if path.suffix in (".h", ".cpp"))


def _core_name(path: Path) -> str:
    return path.relative_to(CORE).as_posix()


def _included(path: Path, opening: str) -> list[str]:
    return re.findall(rf'^\s*#\s*include\s*{opening}([^">]+)', path.read_text(), re.MULTILINE)


def test_every_folder_of_the_core_has_its_arrows() -> None:
    folders = {path.relative_to(CORE).parent.as_posix() for path in _core_files()}

    assert {"" if folder == "." else folder for folder in folders} == set(ALLOWED_INCLUDES)


@pytest.mark.parametrize("path", _core_files(), ids=_core_name)
def test_core_file_includes_only_lower_layers(path: Path) -> None:
    folder = path.relative_to(CORE).parent.as_posix().removeprefix(".")
    own = f"{folder}/" if folder else "errors.h"
    allowed = (own, *ALLOWED_INCLUDES[folder])

    assert [name for name in _included(path, '"') if not name.startswith(allowed)] == []


@pytest.mark.parametrize("path", _core_files(), ids=_core_name)
def test_core_includes_name_files_that_exist(path: Path) -> None:
    assert [name for name in _included(path, '"') if not (CORE / name).is_file()] == []


@pytest.mark.parametrize("path", _core_files(), ids=_core_name)
def test_foreign_interfaces_are_known_to_one_folder_only(path: Path) -> None:
    folder = path.relative_to(CORE).parent.as_posix()
    strangers = [
        name
        for name in _included(path, "<")
        for start, only in ONLY_FOLDER_FOR.items()
        if name.startswith(start) and folder != only
    ]

    assert strangers == []


@pytest.mark.parametrize("name", PURE_FILES)
def test_pure_core_file_includes_the_standard_library_only(name: str) -> None:
    assert [
        header for header in _included(CORE / name, "<") if "/" in header or "." in header
    ] == []
    assert set(_included(CORE / name, '"')) <= set(PURE_FILES)


@pytest.mark.parametrize(
    "header",
    [path for path in _core_files() if path.suffix == ".h" and path.with_suffix(".cpp").exists()],
    ids=_core_name,
)
def test_core_source_includes_its_own_header_first(header: Path) -> None:
    path = header.with_suffix(".cpp")
    first = re.search(r'^#include [<"]([^">]+)', path.read_text(), re.MULTILINE)

    assert first is not None
    assert first.group(1) == _core_name(header)


@pytest.mark.parametrize(
    "path", [path for path in _core_files() if path.suffix == ".h"], ids=_core_name
)
def test_core_header_guards_itself(path: Path) -> None:
    assert "#pragma once" in path.read_text().splitlines()


# --- Python

USERS_OF_CORE = {
    "autograd.py",
    "core_bridge.py",
    "environment.py",
    "model.py",
    "operators.py",
    "traced.py",
    "tuning/trial.py",
}
USERS_OF_HOST = {
    "aoti_model.py",
    "hit.py",
    "takeover.py",
    "typed.py",
    "cli/host.py",
    "cli/binary_probe.py",
    "testing/running.py",
}
USERS_OF_HOST_PARSER = {"hit_blocks.py", "cli/target.py", "testing/input_file.py"}
WITHOUT_TORCH = {
    "__init__.py",
    "activation.py",
    "convergence.py",
    "errors.py",
    "hit_blocks.py",
    "on_failure.py",
    "stub.py",
    "version.py",
}

# What else of ours a module may import; modules that are not listed may import any.
ALLOWED_IMPORTS: dict[str, set[str]] = {
    "errors.py": set(),
    "version.py": set(),
    "core_bridge.py": {"_core", "artifact"},
    "operators.py": {"_core", "artifact", "errors"},
    "solves.py": set(),
    "hit_blocks.py": set(),
    "on_failure.py": {"errors"},
    "failure_report.py": {"artifact", "errors"},
    "solve_log.py": {"solves"},
    "arrays.py": {"errors", "model"},
    "autograd.py": {"artifact", "errors"},
    "jax.py": {"arrays", "autograd", "errors", "model"},
    "traced.py": {"autograd", "errors"},
    "model.py": {
        "_core",
        "artifact",
        "autograd",
        "core_bridge",
        "errors",
        "failure_report",
        "on_failure",
        "operators",
        "solve_log",
        "traced",
    },
    "stub.py": {"artifact", "errors", "hit_blocks", "on_failure"},
    "typed.py": {"artifact", "errors"},
    "native_newton.py": {"errors", "native_solver_log"},
    "native_solvers.py": {"native_newton", "native_solver_log"},
    "krylov.py": set(),
    "native_krylov.py": {"errors", "krylov", "native_newton", "native_solver_log"},
    "convergence.py": {"errors"},
    "chain_rule.py": {"artifact", "errors", "typed"},
    "aoti_model.py": {
        "artifact",
        "chain_rule",
        "errors",
        "hit_blocks",
        "model",
        "on_failure",
        "stub",
        "typed",
    },
    "hit.py": {"aoti_model"},
}


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "_built_with.py")


def _module_name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _imports(path: Path, *, include_annotations: bool = False) -> Iterator[str]:
    """Dotted names that are imported anywhere in the module, also inside functions."""
    tree = ast.parse(path.read_text())
    skipped = set() if include_annotations else set(_only_for_annotations(tree))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(word.value) for word in node.args[:1] if isinstance(word, ast.Constant))


def _only_for_annotations(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                yield from ast.walk(statement)


def _at_import_time(path: Path) -> Iterator[str]:
    """Packages imported when the module is, that is outside functions."""
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.split(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield (statement.module or "").split(".")[0]


def _ours(path: Path) -> set[str]:
    """First-level parts of our package that the module imports."""
    names = (name.split(".") for name in _imports(path))
    return {parts[1] for parts in names if parts[0] == NAME and len(parts) > 1}


def _users_of(package: str) -> set[str]:
    return {
        _module_name(path)
        for path in _modules()
        if any(name.split(".")[0] == package for name in _imports(path))
    }


@pytest.mark.parametrize("path", sorted((PACKAGE / "artifact").rglob("*.py")), ids=_module_name)
def test_artifact_module_imports_errors_and_the_standard_library_only(path: Path) -> None:
    foreign = [
        name
        for name in _imports(path, include_annotations=True)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith((f"{NAME}.artifact.", f"{NAME}.errors."))
    ]

    assert foreign == []


@pytest.mark.parametrize("module", sorted(ALLOWED_IMPORTS))
def test_module_imports_only_lower_layers(module: str) -> None:
    assert _ours(PACKAGE / module) <= ALLOWED_IMPORTS[module]


def test_compiled_core_is_known_to_few_modules() -> None:
    users = {
        _module_name(path)
        for path in _modules()
        if path.parent.name != "_core" and "_core" in _ours(path)
    }

    assert users <= USERS_OF_CORE


def test_compiled_library_is_imported_by_its_package_only() -> None:
    users = {
        _module_name(path)
        for path in _modules()
        if any(name.startswith(f"{NAME}._core._runtime") for name in _imports(path))
    }

    assert users == {"_core/__init__.py"}


def test_host_is_known_to_few_modules() -> None:
    # These two ask for the host by name where it is wanted, and do without it.
    assert _users_of("neml2") <= USERS_OF_HOST | {"operators.py", "environment.py"}
    assert _users_of("nmhit") <= USERS_OF_HOST_PARSER


def test_model_does_not_know_the_host() -> None:
    assert not {"model.py", "core_bridge.py", "errors.py"} & _users_of("neml2")


@pytest.mark.parametrize("module", sorted(WITHOUT_TORCH))
def test_module_imports_neither_torch_nor_host(module: str) -> None:
    assert not {"torch", "neml2", "nmhit"} & set(_at_import_time(PACKAGE / module))


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=_module_name)
def test_command_imports_libraries_where_it_runs_only(path: Path) -> None:
    """So that help and completion come at once, and inspect needs no torch."""
    drawing = {"rich"} if path.name == "console.py" else set()
    known = set(sys.stdlib_module_names) | {NAME, "_neml2_aoti_plugin_autoload"} | drawing

    assert set(_at_import_time(path)) <= known


def test_nothing_but_tests_of_input_files_knows_parts_of_the_command_line() -> None:
    known = {
        (_module_name(path), name.split(".")[2])
        for path in _modules()
        for name in _imports(path)
        if name.startswith(f"{NAME}.cli.") and path.parent.name != "cli"
    }
    users = {user for user, _ in known}

    assert {user for user in users if not user.startswith("testing/")} == set()
    assert {part for _, part in known} <= {"host", "history", "outcome"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "testing").glob("*.py")), ids=_module_name)
def test_pytest_plugin_imports_torch_and_host_where_drivers_run_only(path: Path) -> None:
    known = set(sys.stdlib_module_names) | {NAME, "_neml2_aoti_plugin_pytest", "pytest"}

    assert set(_at_import_time(path)) <= known


def test_nothing_but_pytest_knows_the_pytest_plugin() -> None:
    users = {_module_name(path) for path in _modules() if "testing" in _ours(path)}

    assert {name for name in users if not name.startswith("testing/")} == set()


def test_what_pytest_loads_imports_neither_package_nor_host() -> None:
    imported = set(_at_import_time(PROJECT / "_neml2_aoti_plugin_pytest.py"))

    assert imported <= {*sys.stdlib_module_names, "pytest"}


def test_autoload_module_imports_the_standard_library_only_until_it_is_needed() -> None:
    imported = set(_at_import_time(PROJECT / "_neml2_aoti_plugin_autoload.py"))

    assert imported <= set(sys.stdlib_module_names)
