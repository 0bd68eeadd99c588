"""Blocks and options of a parsed input file, and where they stand in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def sections(node: Any) -> list[Any]:
    """The blocks directly below ``node``, in its order."""
    import nmhit

    return list(node.children(nmhit.NodeType.Section))


def options(block: Any) -> list[Any]:
    """The options that a block gives, in its order."""
    import nmhit

    return list(block.children(nmhit.NodeType.Field))


def option_names(block: Any) -> list[str]:
    """Their names."""
    return [option.path() for option in options(block)]


def blocks_of(root: Any, section: str) -> dict[str, Any]:
    """The blocks of a section such as ``Models``, by name."""
    return {
        block.path(): block
        for top in sections(root)
        if top.path() == section
        for block in sections(top)
    }


def block_type(block: Any) -> str:
    """What ``type`` says, nothing where there is none."""
    return str(block.param_optional_str("type", ""))


def location(node: Any, input_file: Path) -> str:
    """``FILE:LINE`` of a block or an option, in the file that it was included from.

    Without a line for an option that was replaced by a caller, which stands in no file.
    """
    file = input_file if node.filename == Path() else node.filename
    if file.is_file() and node.line() > len(file.read_text(errors="replace").splitlines()):
        return str(file)
    return f"{file}:{node.line()}"
