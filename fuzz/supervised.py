"""Runs numbered tries in worker processes, so that a crash or a hang is counted and not fatal.

A worker is a program that takes ``--worker FIRST COUNT`` and writes a line of JSON when a try
begins and when it has ended.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TRIES_PER_WORKER = 250
"""Then a fresh one: libraries that were opened stay in a process."""

LONGEST_SECONDS = 120.0
"""Of one try, which takes milliseconds: what takes longer hangs."""

LONGEST_START_SECONDS = 900.0
"""Until the first try begins: torch takes long to import on a busy machine."""


@dataclass(slots=True)
class Outcomes:
    """What became of the tries."""

    results: list[dict[str, Any]] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)


def run_tries(program: Path, arguments: list[str], first: int, count: int) -> Outcomes:
    """The outcomes of the tries ``first`` to ``first + count - 1``."""
    outcomes = Outcomes()
    number, end = first, first + count
    while number < end:
        command = [sys.executable, str(program), *arguments, "--worker", str(number)]
        command.append(str(min(TRIES_PER_WORKER, end - number)))
        number = _run_worker(command, number, outcomes)
    return outcomes


def _run_worker(command: list[str], number: int, outcomes: Outcomes) -> int:
    """The first try that is still to be done."""
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stderr is not None
    begun: dict[str, Any] = {}
    for line in _lines(worker):
        if line is None:
            worker.kill()
            worker.communicate()
            outcomes.hangs.append(f"try {begun.get('number', number)}: {begun.get('what', '')}")
            return int(begun.get("number", number)) + 1
        message = json.loads(line)
        if "result" in message:
            outcomes.results.append(message)
            number = message["number"] + 1
        else:
            begun = message
    said = worker.stderr.read()
    code = worker.wait()
    if code == 0:
        return number
    outcomes.crashes.append(
        f"try {begun.get('number', number)}: {begun.get('what', '')}: "
        f"exit code {code}: {said.strip()[-1500:]}"
    )
    return int(begun.get("number", number)) + 1


def _lines(worker: subprocess.Popen[str]) -> Iterator[str | None]:
    """Lines as they come, None after a silence that is too long."""
    stdout = worker.stdout
    assert stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        patience = LONGEST_START_SECONDS
        while True:
            if not selector.select(patience):
                yield None
                return
            patience = LONGEST_SECONDS
            line = stdout.readline()
            if not line:
                return
            yield line


def work(first: int, count: int, tried: Callable[[int, Callable[[str], None]], Any]) -> None:
    """The worker's side: ``tried(number, begin)`` calls ``begin(what)`` and returns a result."""
    for number in range(first, first + count):

        def begin(what: str, number: int = number) -> None:
            print(json.dumps({"number": number, "what": what}), flush=True)

        start = time.perf_counter()
        result = tried(number, begin)
        seconds = round(time.perf_counter() - start, 4)
        print(json.dumps({"number": number, "result": result, "seconds": seconds}), flush=True)
