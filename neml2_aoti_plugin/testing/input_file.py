"""What an input file says about its tests. Parsed, but nothing is built of it.

Comments of the form ``# neml2-pytest: WORD ...`` say more:

==========================  ====================================================
``exclude``                 the file holds no tests
``variants native``         what is run of its drivers
``compile -d stress:strain``  options for neml2-compile, after those of the ini file
==========================  ====================================================
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _neml2_aoti_plugin_pytest import VARIANTS
from neml2_aoti_plugin.hit_blocks import block_type, blocks_of, location, options, sections
from neml2_aoti_plugin.testing.failures import InputFileError

UNIT_TEST = "ModelUnitTest"
VERIFYING_TYPES = ("TransientRegression", "Verification", UNIT_TEST)
"""Types of ``[Drivers]`` blocks that compare what they compute with something."""

COMPILED_TYPE = "AOTIModel"

_DIRECTIVE = re.compile(r"^\s*#\s*neml2-pytest:\s*(?P<word>\S*)\s*(?P<rest>.*?)\s*$")
_LONGEST_NAME = 255
"""Of a file; what is longer names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A driver that compares what it computes with something."""

    driver: str
    type: str
    place: str
    """``FILE:LINE`` of its block."""
    line: int
    compiled_by: str | None
    """The driver whose model is to be compiled, itself or the one that it runs; ``None`` where no
    model is named."""
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """What comments ask for."""

    is_excluded: bool = False
    variants: tuple[str, ...] | None = None
    compile_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    path: Path
    cases: tuple[Case, ...]
    driven: dict[str, str]
    """Model of each driver that names one."""
    is_stub: bool
    """Whether any model in it is compiled."""
    directives: Directives
    content: tuple[Path, ...]
    """The files that a compiled model depends on: itself, what it includes, and the data that is
    named outside of ``[Drivers]``."""
    replacements: tuple[str, ...]
    """Names of files in ``[Drivers]`` and ``[Tensors]`` as absolute paths, in the form
    ``Section/block/option:=value``: what a stub in another folder needs."""


def read(path: Path, further_types: Collection[str] = ()) -> InputFile:
    """Read the input file. Raises :class:`InputFileError` where it is none."""
    directives = _directives(path)
    root = _parse(path)
    drivers = blocks_of(root, "Drivers")
    types = {*VERIFYING_TYPES, *further_types}
    return InputFile(
        path=path,
        cases=tuple(
            _case(drivers, name, path) for name in drivers if block_type(drivers[name]) in types
        ),
        driven={
            name: model
            for name, block in drivers.items()
            if (model := block.param_optional_str("model", ""))
        },
        is_stub=any(
            block_type(block) == COMPILED_TYPE for block in blocks_of(root, "Models").values()
        ),
        directives=directives,
        content=tuple(dict.fromkeys([path, *_sources(root), *_data(root, path.parent)])),
        replacements=tuple(_replacements(root, path.parent)),
    )


def _parse(path: Path) -> Any:
    try:
        import nmhit
    except ImportError as error:
        raise InputFileError(
            f"{path}: reading input files needs neml2, which is not installed: pip install neml2"
        ) from error
    try:
        return nmhit.parse_file(path)
    except nmhit.Error as error:
        text = str(error)
        where = "" if str(path) in text else f"{path}: "
        raise InputFileError(f"{where}{text}") from error


def _case(drivers: dict[str, Any], name: str, path: Path) -> Case:
    block = drivers[name]
    compiled_by = block.param_optional_str("driver", "") or name
    stepping = drivers.get(compiled_by)
    model = stepping.param_optional_str("model", "") if stepping is not None else ""
    return Case(
        driver=name,
        type=block_type(block),
        place=location(block, path),
        line=block.line(),
        compiled_by=compiled_by if model else None,
        model=model or None,
    )


# --- comments


def _directives(path: Path) -> Directives:
    is_excluded, variants, options = False, None, []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        found = _DIRECTIVE.match(line)
        if found is None:
            continue
        word, rest = found["word"], found["rest"]
        if word == "exclude":
            is_excluded = True
        elif word == "variants" and rest and {*rest.split()} <= {*VARIANTS}:
            variants = tuple(rest.split())
        elif word == "compile" and rest:
            options.extend(shlex.split(rest))
        else:
            raise InputFileError(
                f"{path}:{number}: '{line.strip()}' is no instruction; expected after "
                f"'neml2-pytest:' one of: exclude, variants {' or '.join(VARIANTS)}, "
                "compile OPTIONS."
            )
    return Directives(is_excluded=is_excluded, variants=variants, compile_options=tuple(options))


# --- files that the input file depends on


def _sources(node: Any) -> Iterator[Path]:
    for section in sections(node):
        yield section.filename
        yield from _sources(section)


def _options(node: Any) -> Iterator[tuple[Any, str]]:
    """Every option below ``node`` and its value as text."""
    for section in sections(node):
        for field in options(section):
            yield field, section.param_optional_str(field.path(), "")
        yield from _options(section)


def _data(root: Any, folder: Path) -> Iterator[Path]:
    for option, value in _options(root):
        if not option.fullpath().startswith("Drivers/") and _names_a_file(value, folder):
            yield folder / value


def _replacements(root: Any, folder: Path) -> Iterator[str]:
    for option, value in _options(root):
        path = option.fullpath()
        if not path.startswith(("Drivers/", "Tensors/")) or not value:
            continue
        # A gold need not be there yet.
        is_reference = path.endswith("/reference")
        if is_reference or _names_a_file(value, folder):
            yield f"{path}:='{(folder / value).resolve()}'"


def _names_a_file(value: str, folder: Path) -> bool:
    if not value or len(value) > _LONGEST_NAME or "\n" in value or "\0" in value:
        return False
    return (folder / value).is_file()
