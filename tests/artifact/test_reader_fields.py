"""Every field of every golden file, removed and retyped, one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from made_up_artifacts import FILE, GOLDEN, canonical, changed, golden, read, shown, without

from neml2_aoti_plugin.artifact.manifest import ImplicitSegment
from neml2_aoti_plugin.artifact.reader import read_recorded_leaf
from neml2_aoti_plugin.artifact.version import SHARED_METADATA_SINCE
from neml2_aoti_plugin.errors import ArtifactError

Path = tuple[str | int, ...]

OPTIONAL = re.compile(
    r"boundary_aliases"
    r"|boundary_aliases\.\w+(\.[\w.]+)?"
    r"|.*\.batch_independent"
    r"|.*\.(row|col)_offset"
    r"|.*\.linesearch"
)
"""What may be absent, by the format."""

UNREAD = re.compile(
    r"parameters\[\d+\]\.(origin|device)"
    # The first releases also write what follows from the rest.
    r"|outputs\[\d+\]\.sparsity.*"
    r"|segments\[\d+\]\.outputs\[\d+\]\.sparsity.*"
    r"|segments\[\d+\]\.[ug]_size"
    r"|segments\[\d+\]\.(unknowns|givens)\[\d+\]\.var_type"
)
"""What says nothing that a runtime needs."""

IN_7_ONLY_IN_12_ON_REQUEST = re.compile(r"parameters\[\d+\]\.dtype")


def walk(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of all values below the top level, objects and lists included."""
    steps: Any = ()
    if isinstance(value, dict):
        steps = value.items()
    elif isinstance(value, list):
        steps = enumerate(value)
    for step, element in steps:
        yield (*path, step)
        yield from walk(element, (*path, step))


def fields_of(name: str) -> Iterator[Path]:
    for path in walk(golden(name)):
        text = shown(path)
        if text == "schema_version" or UNREAD.fullmatch(text):
            continue
        yield path


def value_at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def is_required(path: Path) -> bool:
    text = shown(path)
    if isinstance(path[-1], int) or path[0] == "boundary_aliases":
        return False
    return not (OPTIONAL.fullmatch(text) or IN_7_ONLY_IN_12_ON_REQUEST.fullmatch(text))


ALL_FIELDS = [(name, path) for name in GOLDEN for path in fields_of(name)]
REQUIRED_FIELDS = [(name, path) for name, path in ALL_FIELDS if is_required(path)]


def case_id(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)


def read_all(document: dict[str, Any]) -> None:
    """Everything that read_artifact reads of a document."""
    if document["schema_version"] < SHARED_METADATA_SINCE:
        read_recorded_leaf(canonical(document))
    read(document)


@pytest.mark.parametrize(("name", "path"), REQUIRED_FIELDS, ids=case_id)
def test_missing_field_is_named(name: str, path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        read_all(without(golden(name), path))
    message = str(caught.value)
    assert message.startswith(f"{FILE}: {shown(path)} is missing; expected ")
    assert message.endswith("Recompile the model.")


@pytest.mark.parametrize(("name", "path"), ALL_FIELDS, ids=case_id)
def test_mistyped_field_is_named(name: str, path: Path) -> None:
    document = golden(name)
    mistyped = "text" if isinstance(value_at(document, path), dict) else {"not": ["this"]}
    with pytest.raises(ArtifactError) as caught:
        read_all(changed(document, path, mistyped))
    message = str(caught.value)
    # Where a list of plain values holds something else, the list is what is wrong.
    listed = path[:-1] if isinstance(path[-1], int) else path
    assert message.startswith((f"{FILE}: {shown(path)} ", f"{FILE}: {shown(listed)} "))
    assert "; expected " in message


@pytest.mark.parametrize("value", [None, True, -1, 1.5, "", "\x00", [], [[]], float("nan")])
@pytest.mark.parametrize("name", ["v7/viscoplasticity", "v14/krylov"])
def test_replaced_field_never_escapes_as_another_error(name: str, value: Any) -> None:
    document = golden(name)
    for path in fields_of(name):
        try:
            read_all(changed(document, path, value))
        except ArtifactError as error:
            message = str(error)
        else:
            continue
        assert message.startswith(f"{FILE}: ")


def test_absent_optional_fields_have_their_defaults() -> None:
    document = golden("v14/viscoplasticity")
    for key in ("row_offset", "col_offset", "batch_independent"):
        for segment in document["segments"]:
            for pair in segment["jacobian_pairs"]:
                pair.pop(key, None)
    segment = read(document).segments[0]
    assert isinstance(segment, ImplicitSegment)
    assert segment.input_sensitivity is not None
    assert {(p.row_offset, p.column_offset) for p in segment.input_sensitivity.pairs} == {(0, 0)}
    assert {p.batch_independent for p in segment.input_sensitivity.pairs} == {False}
