"""``python -m neml2_aoti_plugin.cli``, where the program ``neml2-aoti`` is not on the path."""

from __future__ import annotations

import sys

from neml2_aoti_plugin.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
