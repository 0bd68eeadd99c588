"""Feeds mutated metadata to the reader.

::

    python fuzz/metadata.py --seconds 60           guided by coverage (needs atheris)
    python fuzz/metadata.py --count 1000000        mutated at random, with a table of the refusals
    python fuzz/metadata.py --replay               the kept inputs once

Inputs that reach new code are kept in ``fuzz/corpus/metadata``. An input that the reader neither
refuses nor reads soundly ends the program with a traceback and is kept beside it, as ``crash-*``
or ``metadata-defect.json``.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from choices import SeededChoices
from documents import mutated
from refusals import Refusals

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "metadata"
SEEDS = HERE.parent / "tests" / "artifact" / "data"
DEFECT = "metadata-defect.json"
LONGEST_SECONDS = 60
LARGEST_KEPT = 16_384
"""Bytes. What a fuzzer finds out with more it finds out with less."""


def seed_documents() -> list[dict[str, Any]]:
    """Metadata that releases of neml2 wrote, of every schema."""
    files = sorted(SEEDS.glob("v*/*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def kept_inputs() -> Iterator[Path]:
    yield from sorted(CORPUS.iterdir())


def replay(file: Path) -> int:
    """Read every kept input; how many there are."""
    from manifests import read

    count = 0
    for kept in kept_inputs():
        read(kept.read_bytes(), file)
        count += 1
    return count


def at_random(file: Path, count: int, first: int) -> Refusals:
    """Read ``count`` mutated documents, of which the numbers say how they are mutated."""
    from manifests import read

    from neml2_aoti_plugin.errors import ArtifactError

    documents = seed_documents()
    refusals = Refusals()
    signal.signal(signal.SIGALRM, _hangs)
    for number in range(first, first + count):
        content = mutated(documents[number % len(documents)], SeededChoices(number))
        signal.alarm(LONGEST_SECONDS)
        try:
            answer = read(content, file)
        except BaseException:
            Path(DEFECT).write_bytes(content)
            print(f"number {number}: the input is in {DEFECT}", file=sys.stderr)
            raise
        signal.alarm(0)
        if isinstance(answer, ArtifactError):
            refusals.add(str(answer))
    return refusals


def _hangs(number: int, frame: FrameType | None) -> NoReturn:
    raise TimeoutError(f"an input took more than {LONGEST_SECONDS} s")


def guided(file: Path, seconds: int) -> None:
    """Let atheris look for inputs that reach new code; it ends the process when it is done."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: python -m pip install atheris (Linux, CPython 3.11+)")
    with atheris.instrument_imports(include=["neml2_aoti_plugin.artifact"]):
        from manifests import read

    documents = seed_documents()

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        """Structure where the input is JSON, bytes where it is not; both in turn."""
        choices = SeededChoices(seed)
        if choices.below(4) == 0:
            return bytes(atheris.Mutate(data, max_size))
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            document = documents[choices.below(len(documents))]
        try:
            changed = mutated(document, choices)
        except RecursionError:  # a kept input may be as deep as the parser allows
            return bytes(atheris.Mutate(data, max_size))
        return changed if len(changed) <= max_size else bytes(atheris.Mutate(data, max_size))

    def test(data: bytes) -> None:
        read(data, file)

    CORPUS.mkdir(parents=True, exist_ok=True)
    options = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-max_len={LARGEST_KEPT}",
        f"-timeout={LONGEST_SECONDS}",
        "-rss_limit_mb=4096",
        f"-seed={random.randrange(1, 2**31)}",
        "-print_final_stats=1",
        str(CORPUS),
        *(str(folder) for folder in sorted(SEEDS.glob("v*"))),
    ]
    atheris.Setup(options, test, custom_mutator=mutate)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--seconds", type=int, help="how long to look for inputs that reach new code")
    kind.add_argument("--count", type=int, help="how many documents to mutate at random")
    kind.add_argument("--replay", action="store_true", help="read the kept inputs once")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "cpu" / "float64").mkdir(parents=True)
        file = root / "metadata.json"
        if arguments.seconds is not None:
            guided(file, arguments.seconds)
        if arguments.replay:
            print(f"{replay(file)} kept inputs")
            return 0
        start = time.perf_counter()
        refusals = at_random(file, arguments.count, arguments.first)
        seconds = time.perf_counter() - start
    refused = refusals.counts.total()
    print(f"{arguments.count} documents in {seconds:.0f} s: {refused} refused, ", end="")
    print(f"{arguments.count - refused} read; {len(refusals.counts)} kinds of refusal")
    print(refusals.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
