"""The fuzzers are programs of their own; here their parts are imported, and run for a moment."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT / "fuzz"))
sys.path.insert(0, str(PROJECT / "tests" / "artifact"))
