from __future__ import annotations

from pathlib import Path

import pytest

from neml2_aoti_plugin.artifact import document as document_module
from neml2_aoti_plugin.artifact.document import load_document
from neml2_aoti_plugin.errors import ArtifactError

AGAIN = "Copy the artifact again, or recompile the model."
FOREIGN = "This is no metadata written by neml2-compile."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", f"not valid JSON (Expecting value: line 1 column 1 (char 0)). {AGAIN}"),
        (
            b'{"type": "comp',
            f"not valid JSON (Unterminated string starting at: line 1 column 10 (char 9)). {AGAIN}",
        ),
        (b"[1]", f"the top level is an array; expected an object. {FOREIGN}"),
        (b"null", f"the top level is null; expected an object. {FOREIGN}"),
        (b'{"a": "\xff"}', f"byte 7 is 0xff; expected UTF-8 text. {AGAIN}"),
        (
            b'{"a": [{"name": 1, "name": 2}]}',
            f"the key 'name' stands twice in one object; expected once. {AGAIN}",
        ),
    ],
    ids=["empty", "cut", "list", "null", "not_utf8", "duplicate_key"],
)
def test_damaged_document_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "metadata.json"
    file.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        load_document(file)
    assert str(caught.value) == f"{file}: {message}"


def test_document_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "metadata.json"
    file.write_bytes(b"[" * 200_000)
    with pytest.raises(ArtifactError, match="not valid JSON"):
        load_document(file)


def test_document_above_the_size_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_module, "MAX_METADATA_BYTES", 10)
    file = tmp_path / "metadata.json"
    file.write_bytes(b'{"a": 12345}')
    with pytest.raises(ArtifactError) as caught:
        load_document(file)
    assert str(caught.value) == f"{file}: more than 10 bytes; expected less. {FOREIGN}"


def test_folder_in_place_of_document_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "metadata.json"
    file.mkdir()
    with pytest.raises(ArtifactError) as caught:
        load_document(file)
    assert str(caught.value) == f"{file}: not a regular file; expected metadata. {AGAIN}"


def test_bare_infinity_is_left_to_the_reader(tmp_path: Path) -> None:
    file = tmp_path / "metadata.json"
    file.write_bytes(b'{"a": Infinity}')
    assert load_document(file) == {"a": float("inf")}
