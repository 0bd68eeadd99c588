"""What a test of an input file ends with, if not well; the message is all there is to show."""

from __future__ import annotations


class InputFileError(Exception):
    """An input file cannot be read; the message names file and line."""


class CompileError(Exception):
    """``neml2-compile`` failed; the message holds its command and the end of its log."""


class DifferenceError(Exception):
    """A driver computed something else than was expected; the message shows what."""
