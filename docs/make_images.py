"""Draw the images of the pages again: ``python docs/make_images.py STUB``, of inputs/chaboche.

``run.png`` and ``bench.png`` are written by the commands of command-line.md beside them, the curves
of performance.md by ``make bench``.
"""

from __future__ import annotations

import argparse
import io
import os
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from neml2_aoti_plugin.cli import inspect
from neml2_aoti_plugin.cli.program import build_parser

IMAGES = Path(__file__).resolve().parent / "images"
WIDTH = 108


def main() -> None:
    """Write ``inspect.svg``: what ``neml2-aoti inspect`` says, as a terminal shows it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "stub", type=Path, help="the stub of inputs/chaboche/model.i, compiled without -d"
    )
    stub = parser.parse_args().stub
    # Paths are shown as from the folder above.
    os.chdir(stub.resolve().parent.parent)
    shown = Path(stub.resolve().parent.name) / stub.name
    words = ["inspect", str(shown)]
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False
    )
    console.print(f"[green]$[/] neml2-aoti {' '.join(words)}")
    outcome = inspect.run(build_parser().parse_args(words), console)
    outcome.show(console)
    svg = console.export_svg(title="neml2-aoti inspect", theme=MONOKAI, unique_id="inspect")
    # Without the fonts that rich would have fetched from elsewhere.
    svg = re.sub(r"@font-face {.*?}\n", "", svg, flags=re.DOTALL)
    (IMAGES / "inspect.svg").write_text(svg + "\n")


if __name__ == "__main__":
    main()
