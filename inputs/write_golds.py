"""Write the gold results of the example inputs: what neml2's native models compute.

Every ``TransientRegression`` block names a driver and a reference file; its driver is run by
``neml2-run`` and saves there. The plugin is switched off, so that the golds owe nothing to the code
they test; neml2's own runtime must therefore match the installed torch.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nmhit

INPUTS = Path(__file__).resolve().parent


def regressions(model_file: Path) -> Iterator[tuple[str, Path]]:
    """Driver name and reference file of every ``TransientRegression`` in ``model_file``."""
    root = nmhit.parse_file(model_file, [], [])
    for block in root.find("Drivers").children(nmhit.NodeType.Section):
        if block.param_str("type") == "TransientRegression":
            yield block.param_str("driver"), model_file.parent / block.param_str("reference")


def write_gold(model_file: Path, driver: str, gold: Path) -> None:
    """Run ``driver`` of ``model_file`` natively and save its result as ``gold``."""
    gold.parent.mkdir(exist_ok=True)
    subprocess.run(
        [
            Path(sys.executable).with_name("neml2-run"),
            model_file,
            driver,
            f"Drivers/{driver}/save_as:={gold}",
        ],
        check=True,
        env=os.environ | {"NEML2_AOTI_PLUGIN": "0"},
    )


def main() -> None:
    """Write the golds of the cases named on the command line, or of all."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    known = sorted(path.parent.name for path in INPUTS.glob("*/model.i"))
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"among {', '.join(known)}")
    cases = parser.parse_args().cases or known
    for case in cases:
        model_file = INPUTS / case / "model.i"
        for driver, gold in regressions(model_file):
            write_gold(model_file, driver, gold)
            print(f"{gold.relative_to(INPUTS)}  {gold.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
