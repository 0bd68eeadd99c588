"""Metadata file to dictionary: bounded, UTF-8, no key twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neml2_aoti_plugin.errors import ArtifactError

MAX_METADATA_BYTES = 64 * 1024 * 1024
"""Far above any real file; a bound, so that a wrong path cannot fill the memory."""

MAX_DEPTH = 64
"""Far deeper than any real file; a bound, so that whatever walks the document comes to an end."""

_KINDS = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}

_COPY_AGAIN = "Copy the artifact again, or recompile the model."


def load_document(file: Path) -> dict[str, Any]:
    """Parse a metadata file; raises ArtifactError where it is no JSON object."""
    return parse_document(read_document_bytes(file), file)


def parse_document(content: bytes, file: Path) -> dict[str, Any]:
    """Parse the content of a metadata file; ``file`` is for messages."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(
            f"{file}: byte {error.start} is 0x{content[error.start]:02x}; expected UTF-8 text. "
            + _COPY_AGAIN
        ) from error
    try:
        document = json.loads(text, object_pairs_hook=_object_without_duplicates)
    except _DuplicateKeyError as error:
        raise ArtifactError(
            f"{file}: the key {error.key[:80]!r} stands twice in one object; expected once. "
            + _COPY_AGAIN
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{file}: not valid JSON ({error}). {_COPY_AGAIN}") from error
    if not isinstance(document, dict):
        raise ArtifactError(
            f"{file}: the top level is {_KINDS[type(document)]}; expected an object. "
            "This is no metadata written by neml2-compile."
        )
    if not _is_within(document, MAX_DEPTH):
        raise ArtifactError(
            f"{file}: objects and arrays stand in one another more than {MAX_DEPTH} deep; expected "
            "fewer. This is no metadata written by neml2-compile."
        )
    return document


def _is_within(value: Any, depth: int) -> bool:
    """Whether containers stand in one another at most ``depth`` deep."""
    level = [value]
    for _ in range(depth):
        level = [element for container in level for element in _containers_in(container)]
        if not level:
            return True
    return False


def _containers_in(container: Any) -> list[Any]:
    elements = container.values() if isinstance(container, dict) else container
    return [element for element in elements if isinstance(element, (dict, list))]


def read_document_bytes(file: Path) -> bytes:
    """The content of a file of bounded size; raises ArtifactError where it cannot be read."""
    try:
        if not file.is_file():
            raise ArtifactError(f"{file}: not a regular file; expected metadata. {_COPY_AGAIN}")
        # A read takes memory for all that it may return, so it is told what there is.
        size = file.stat().st_size
        with file.open("rb") as stream:
            content = stream.read(min(size, MAX_METADATA_BYTES) + 1)
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read ({error}).") from error
    if len(content) > MAX_METADATA_BYTES:
        raise ArtifactError(
            f"{file}: more than {MAX_METADATA_BYTES} bytes; expected less. "
            "This is no metadata written by neml2-compile."
        )
    return content


class _DuplicateKeyError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _DuplicateKeyError(key)
        result[key] = value
    return result
