"""Blocks that begin with ``# not run`` look different: tests/test_snippets.py runs all others."""

from __future__ import annotations

from typing import Any

from docutils import nodes

MARK = "# not run"


def _mark(app: Any, doctree: Any) -> None:
    for block in doctree.findall(nodes.literal_block):
        if block.astext().startswith(MARK):
            block["classes"].append("not-run")


def setup(app: Any) -> dict[str, Any]:
    """Look at every page once it has been read."""
    app.connect("doctree-read", _mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
