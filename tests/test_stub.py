"""The stub of the compiled module says what the module is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import neml2_aoti_plugin
from neml2_aoti_plugin._core import _runtime

STUB = Path(neml2_aoti_plugin.__file__).parent / "_core" / "_runtime.pyi"
TREE = ast.parse(STUB.read_text())
CLASSES = {node.name: node for node in TREE.body if isinstance(node, ast.ClassDef)}


def declared_members(node: ast.ClassDef) -> set[str]:
    """Public methods, properties and enumerators."""
    names = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    names |= {
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    return {name for name in names if not name.startswith("_")}


def present_members(cls: type) -> set[str]:
    enumerators = set(getattr(cls, "__members__", ()))
    own = {name for name in vars(cls) if not name.startswith("_")}
    return enumerators or own


def test_stub_names_what_the_module_has() -> None:
    declared = set(CLASSES)
    declared |= {node.name for node in TREE.body if isinstance(node, ast.FunctionDef)}
    declared |= {
        node.target.id
        for node in TREE.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    declared = {name for name in declared if not name.startswith("_")}
    assert declared == {name for name in vars(_runtime) if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_stub_class_has_the_members_of_the_class(name: str) -> None:
    assert declared_members(CLASSES[name]) == present_members(getattr(_runtime, name))


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_stub_constructor_has_the_keywords_of_the_class(name: str) -> None:
    constructors = [
        item
        for item in CLASSES[name].body
        if isinstance(item, ast.FunctionDef) and item.name == "__init__"
    ]
    if not constructors:
        pytest.skip("an enumeration")
    arguments = constructors[0].args
    declared = [argument.arg for argument in (*arguments.args, *arguments.kwonlyargs)]
    signature = getattr(_runtime, name).__init__.__doc__ or ""
    positions = [signature.find(f"{argument}:") for argument in declared]
    assert -1 not in positions, signature
    assert signature.count(":") >= len(declared)
