"""``neml2-compile`` for documents: compiles what it is asked for once, into the cache of the tests.

The same command on the same input file copies the result from there. It takes the options that
documents use, and refuses others.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from artifact_cache import RECIPES, CompiledCase, Recipe, compile_input, compiled, input_file


def main() -> None:
    """Compile or copy what the command line asks for."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("input", type=Path)
    parser.add_argument("--driver")
    parser.add_argument("--model")
    parser.add_argument("-d", dest="derivatives", action="append", default=[])
    parser.add_argument("-p", dest="parameters", action="append", default=[])
    parser.add_argument("--output-dir", type=Path, default=Path("aoti"))
    parser.add_argument("--dtype", default="float64")
    arguments, overrides = parser.parse_known_args()
    strange = [word for word in overrides if ":=" not in word]
    if strange:
        parser.error(f"not known here: {strange}")
    target = ("--driver", arguments.driver) if arguments.driver else ("--model", arguments.model)
    recipe = Recipe(
        target=target,
        derivatives=tuple(arguments.derivatives),
        parameters=tuple(arguments.parameters),
        dtype=arguments.dtype,
        overrides=tuple(overrides),
    )
    case = _compiled(arguments.input.resolve(), recipe)
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    shutil.copytree(case.root, arguments.output_dir / case.root.name, dirs_exist_ok=True)
    shutil.copy(case.stub, arguments.output_dir)


def _compiled(model_file: Path, recipe: Recipe) -> CompiledCase:
    for (case, variant), known in RECIPES.items():
        if known == recipe and input_file(case).read_bytes() == model_file.read_bytes():
            return compiled(case, variant=variant)
    return compile_input(model_file, recipe, name=f"document_{model_file.parent.name}")


if __name__ == "__main__":
    main()
