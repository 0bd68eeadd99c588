"""``python benchmarks``: see ``README.md`` here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Before neml2 is imported: its own runtime stays in its place, and ours is used beside it.
os.environ["NEML2_AOTI_PLUGIN"] = "0"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from suite.command import main

main()
