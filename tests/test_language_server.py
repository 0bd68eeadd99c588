"""What an editor is offered for a block of type AOTIModel, by neml2's language server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("neml2_langserv")

SECONDS_TO_ANSWER = 300.0
DOCUMENT = """# neml2
[Models]
  [model]
    type = AOTIModel
    artifact_path = 'model'
    {rest}
  []
  [other]
    type = {type}
  []
[]
"""


class Editor:
    """Speaks the language server protocol over the pipes of a server."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        self._server = server
        self._next = 0

    def ask(self, method: str, **params: Any) -> Any:
        """The server's answer; what it says unasked is passed over."""
        self._next += 1
        self._send({"id": self._next, "method": method, "params": params})
        while (message := self._receive()).get("id") != self._next or "method" in message:
            pass
        assert "error" not in message, message["error"]
        return message["result"]

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0"} | message).encode()
        assert self._server.stdin is not None
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._server.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        length = 0
        while line := self._server.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the server said no more"
        message: dict[str, Any] = json.loads(self._server.stdout.read(length))
        return message


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("editor")
    command = [sys.executable, "-m", "neml2_langserv", "--stdio"]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        watch = threading.Timer(SECONDS_TO_ANSWER, server.kill)
        watch.start()
        try:
            editor = Editor(server)
            editor.ask("initialize", processId=None, rootUri=folder.as_uri(), capabilities={})
            editor.tell("initialized")
            yield editor
            editor.ask("shutdown")
            editor.tell("exit")
        finally:
            watch.cancel()
            server.kill()


def opened(editor: Editor, name: str, *, rest: str = "", type: str = "") -> dict[str, str]:
    """Show the document to the server."""
    uri = Path(f"/{name}.i").as_uri()
    text = DOCUMENT.format(rest=rest, type=type)
    document = {"uri": uri, "languageId": "neml2", "version": 1, "text": text}
    editor.tell("textDocument/didOpen", textDocument=document)
    return {"uri": uri}


def completed(editor: Editor, document: dict[str, str], line: int, column: int) -> dict[str, Any]:
    found = editor.ask(
        "textDocument/completion",
        textDocument=document,
        position={"line": line, "character": column},
    )
    items = found if isinstance(found, list) else found["items"]
    return {item["label"]: item for item in items}


def test_type_is_completed_with_what_it_is(editor: Editor) -> None:
    offered = completed(editor, opened(editor, "type"), 8, 11)
    assert "compiled ahead of time" in offered["AOTIModel"]["documentation"]["value"]
    assert offered["AOTIModel"]["detail"] == "Models"
    assert "ComposedModel" in offered


def test_options_that_are_not_given_yet_are_completed(editor: Editor) -> None:
    offered = completed(editor, opened(editor, "options"), 5, 4)
    assert set(offered) == {
        "meta",
        "solver",
        "chain_rule",
        "on_failure",
        "failure_folder",
        "lock",
    }
    assert "-d OUT:IN" in offered["chain_rule"]["documentation"]["value"]
    assert offered["chain_rule"]["detail"] == "bool"


@pytest.mark.parametrize(
    ("line", "column", "said"),
    [(3, 14, "usable wherever a native model is"), (4, 8, "Folder written by neml2-compile")],
)
def test_hovering_explains_type_and_option(
    editor: Editor, line: int, column: int, said: str
) -> None:
    shown = editor.ask(
        "textDocument/hover",
        textDocument=opened(editor, f"hover{line}"),
        position={"line": line, "character": column},
    )
    assert said in shown["contents"]["value"]
