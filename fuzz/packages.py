"""Loads artifacts whose graphs are damaged, and calls those that are let through.

::

    python fuzz/packages.py [ARTIFACT] --count 10000

Each try mutates one package of a copy of the artifact and opens it as a user would, with and
without the cache of libraries in turn. It must end in an ArtifactError that names the file, or in
the very results of the sound artifact. Tries run in worker processes; crashes and hangs are
counted, printed and make the exit code 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from archives import at_random, systematic
from choices import SeededChoices
from refusals import Refusals
from supervised import Outcomes, run_tries, work

if TYPE_CHECKING:
    import torch

    from neml2_aoti_plugin import Model

Tensors = dict[str, "torch.Tensor"]


def inputs_for(model: Model) -> Tensors:
    """A few rows of small values, the same each time."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return {
        variable.public_name: 1e-3
        * torch.rand(
            (3, *(variable.sub_batch_shape or ()), *variable.base_shape),
            dtype=model.dtype,
            generator=generator,
        )
        for variable in model.manifest.inputs
    }


class Attempts:
    """One copy of an artifact, in which a package is damaged again and again."""

    def __init__(self, artifact: Path, folder: Path) -> None:
        self._root = folder / artifact.name
        shutil.copytree(artifact, self._root)
        self._package = min(self._root.rglob("*.pt2"))
        self._sound = self._package.read_bytes()
        self._systematic = list(systematic(self._sound))
        self._cache = folder / "cache"
        self._expected = self._call("on")[0]

    def attempt(self, number: int, begin: Callable[[str], None]) -> dict[str, str]:
        """Refused (with the message), accepted, or escaped (with what went wrong)."""
        from neml2_aoti_plugin.errors import ArtifactError

        kind, content = self._mutation(number)
        cache = "on" if number % 2 else "off"
        begin(f"{kind}, cache {cache}")
        # A new file each time, as when an artifact is copied over.
        self._package.unlink()
        self._package.write_bytes(content)
        try:
            results, found = self._call(cache)
        except ArtifactError as refusal:
            if str(self._package) not in str(refusal):
                return {"kind": kind, "escaped": f"does not name the file: {refusal}"}
            return {"kind": kind, "refused": str(refusal)}
        except Exception as error:  # what must not happen is what is looked for
            return {"kind": kind, "escaped": f"{type(error).__name__}: {error}"}
        if not _are_equal(results, self._expected):
            return {"kind": kind, "escaped": f"other results: {found}"}
        return {"kind": kind, "accepted": ""}

    def _mutation(self, number: int) -> tuple[str, bytes]:
        if number < len(self._systematic):
            return self._systematic[number]
        return at_random(self._sound, SeededChoices(number))

    def _call(self, cache: str) -> tuple[Tensors, str]:
        from neml2_aoti_plugin import Model

        os.environ["NEML2_AOTI_PLUGIN_CACHE"] = str(self._cache) if cache == "on" else "0"
        model = Model(self._root, device="cpu")
        results = model.forward(inputs_for(model))
        return results, str(results)[:300]


def _are_equal(results: Tensors, expected: Tensors) -> bool:
    return results.keys() == expected.keys() and all(
        results[name].numpy().tobytes() == value.numpy().tobytes()
        for name, value in expected.items()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "artifact", type=Path, nargs="?", help="its folder; inputs/elasticity, compiled, by default"
    )
    parser.add_argument("--count", type=int, default=10_000, help="how many packages to try")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    artifact = arguments.artifact.resolve() if arguments.artifact else _compiled_elasticity()
    if arguments.worker:
        with tempfile.TemporaryDirectory() as folder:
            work(*arguments.worker, Attempts(artifact, Path(folder)).attempt)
        return 0
    start = time.perf_counter()
    outcomes = run_tries(Path(__file__), [str(artifact)], arguments.first, arguments.count)
    return report(outcomes, time.perf_counter() - start)


def _compiled_elasticity() -> Path:
    sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
    from artifact_cache import compiled

    return compiled("elasticity").root


def report(outcomes: Outcomes, seconds: float) -> int:
    """Print the tables; 1 where something escaped."""
    refusals = Refusals()
    tried = Counter[str]()
    escaped = []
    for message in outcomes.results:
        result = message["result"]
        tried.update(key for key in ("refused", "accepted", "escaped") if key in result)
        if "refused" in result:
            refusals.add(result["refused"])
        if "escaped" in result:
            escaped.append(f"try {message['number']}: {result['kind']}: {result['escaped']}")
    print(f"{len(outcomes.results)} packages in {seconds:.0f} s: {dict(tried)}, ", end="")
    print(f"{len(outcomes.crashes)} crashes, {len(outcomes.hangs)} hangs")
    slowest = max(outcomes.results, key=lambda message: message["seconds"], default=None)
    if slowest is not None:
        print(f"slowest: {slowest['seconds']} s, {slowest['result']['kind']}")
    print(refusals.table())
    for line in (*escaped, *outcomes.crashes, *outcomes.hangs):
        print("DEFECT", line)
    return 1 if escaped or outcomes.crashes or outcomes.hangs else 0


if __name__ == "__main__":
    sys.exit(main())
