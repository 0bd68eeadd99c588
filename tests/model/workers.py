"""A program: calls a model from workers of one kind and compares with what this process computes.

``workers.py KIND ARTIFACT``; prints ``same`` where every worker got the same bits.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from neml2_aoti_plugin import Model

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where pytest finds these
from strained_rows import strained_rows

ROWS = 2000
WORKERS = 3
SHUTDOWN_ROWS = 20_000


def stress(model: Model, seed: int) -> torch.Tensor:
    return model.forward(strained_rows(model, ROWS, seed))["stress"]


class Stresses(Dataset[torch.Tensor]):
    """Stresses by seed, of a model that each process opens for itself unless it has one."""

    def __init__(self, artifact: str) -> None:
        self._artifact = artifact
        self._model: Model | None = None

    def __len__(self) -> int:
        return 8

    def __getitem__(self, seed: int) -> torch.Tensor:
        return stress(self.opened(), seed)

    def opened(self) -> Model:
        if self._model is None:
            self._model = Model(self._artifact)
        return self._model

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_model": None}


def answer(artifact: str, seed: int) -> bytes:
    """In a worker that shares nothing with its parent."""
    torch.set_num_threads(2)
    return stress(Model(artifact), seed).numpy().tobytes()


def pool(method: str, artifact: str) -> bool:
    model = Model(artifact)
    expected = [stress(model, seed).numpy().tobytes() for seed in range(WORKERS)]
    with multiprocessing.get_context(method).Pool(WORKERS) as workers:
        found = workers.starmap(answer, [(artifact, seed) for seed in range(WORKERS)])
    return found == expected


def forked(artifact: str) -> bool:
    """Children that go on with the model of their parent, which has threads of its own by then."""
    model = Model(artifact)
    expected = [stress(model, seed) for seed in range(WORKERS)]
    children = []
    for seed in range(WORKERS):
        child = os.fork()
        if child == 0:
            signal.alarm(120)
            os._exit(0 if torch.equal(stress(model, seed), expected[seed]) else 1)
        children.append(child)
    # The parent calls it meanwhile.
    same = all(torch.equal(stress(model, seed), expected[seed]) for seed in range(WORKERS))
    return same and all(os.waitpid(child, 0)[1] == 0 for child in children)


def loader(method: str, artifact: str) -> bool:
    data = Stresses(artifact)
    expected = [data[seed] for seed in range(len(data))]
    loaded = DataLoader(data, num_workers=2, batch_size=None, multiprocessing_context=method)
    return all(torch.equal(a, b) for a, b in zip(loaded, expected, strict=True))


def shutdown(artifact: str) -> bool:
    """The interpreter ends while daemon threads are in calls."""
    model = Model(artifact)
    inputs = strained_rows(model, SHUTDOWN_ROWS, seed=0)
    began = threading.Barrier(4)

    def call() -> None:
        model.forward(inputs)
        began.wait()
        while True:
            model.forward(inputs)

    for _ in range(3):
        threading.Thread(target=call, daemon=True).start()
    began.wait()
    time.sleep(0.05)
    return True


KINDS = {
    "fork": lambda artifact: pool("fork", artifact),
    "spawn": lambda artifact: pool("spawn", artifact),
    "forked": forked,
    "loader_fork": lambda artifact: loader("fork", artifact),
    "loader_spawn": lambda artifact: loader("spawn", artifact),
    "shutdown": shutdown,
}


def main() -> None:
    torch.set_num_threads(2)
    print("same" if KINDS[sys.argv[1]](sys.argv[2]) else "different", flush=True)


if __name__ == "__main__":
    main()
