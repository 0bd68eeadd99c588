"""``python -m neml2_aoti_plugin``: says what runs neml2's compiled models here, and why.

The exit status is 0 where that is this package and its runtime loads, 1 otherwise. With
``--json-lines`` every finding is a JSON array of subject and finding. ``neml2-aoti doctor`` says
more, and what to do.
"""

from __future__ import annotations

import json
import sys

from neml2_aoti_plugin.environment import ACTIVE, findings


def main() -> int:
    """Print the report, each finding as soon as it is known."""
    as_json = "--json-lines" in sys.argv[1:]
    verdict = ""
    for subject, finding in findings():
        line = json.dumps([subject, finding]) if as_json else f"{subject + ':':<20}{finding}"
        print(line, flush=True)
        if subject == ACTIVE:
            verdict = finding
    return 0 if verdict.startswith("yes") else 1


if __name__ == "__main__":
    sys.exit(main())
