"""Compiles the kernels of an artifact's graphs again, for this machine, with the same bits.

::

    for graph in tune("aoti/model"):
        print(graph.name, graph.outcome.value, graph.gain)

A package carries the source of its kernels. It does not say that their arguments are different
memory, and what follows from that costs some models a third of their time; see
:mod:`neml2_aoti_plugin.tuning.sources`. The tuned kernels of a graph are kept beside its library in
the cache, for machines with the processor and the torch that they were made for, and every model
that opens the graph from then on uses them. They are kept only where every result of a trial has
the bits that it had before, and where they are faster. The artifact stays as it is.
"""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from neml2_aoti_plugin.artifact import inspect_graphs, read_artifact
from neml2_aoti_plugin.artifact.graphs import graph_names
from neml2_aoti_plugin.artifact.library_cache import (
    FOLDER_VARIABLE,
    LibraryCache,
    default_cache,
    tuned_kernels_file,
)
from neml2_aoti_plugin.artifact.package import PackageFacts, kernel_sources
from neml2_aoti_plugin.artifact.whole_file import write_whole
from neml2_aoti_plugin.errors import AOTIError, UnsupportedFeatureError
from neml2_aoti_plugin.operators import provide_operators
from neml2_aoti_plugin.tuning.build import build
from neml2_aoti_plugin.tuning.sources import Kernels, UnknownSourceError, marked_kernels
from neml2_aoti_plugin.tuning.trial import Trial, try_kernels

LEAST_GAIN = 1.03
"""Of the time of a graph, for which tuned kernels are kept."""


class Outcome(enum.Enum):
    TUNED = "tuned"
    ALREADY = "tuned before"
    NO_GAIN = "no gain"
    """As fast as it was, or nearly."""
    LEFT = "left as it is"
    """See :attr:`TunedGraph.reason`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedGraph:
    """What became of one graph."""

    name: str
    """Of its file."""
    outcome: Outcome
    trial: Trial | None = None
    reason: str = ""

    @property
    def gain(self) -> float | None:
        """Time before over time after."""
        return self.trial.gain if self.trial else None


class TuningError(AOTIError):
    """Tuned kernels compute something else; nothing was kept."""


def tune(
    path: str | Path, *, dtype: str | None = None, again: bool = False
) -> Iterator[TunedGraph]:
    """Tune the graphs of an artifact for the processor, one after the other; nothing happens before
    the first is asked for.

    ``path``, ``dtype``: as for :class:`neml2_aoti_plugin.Model`. ``again``: also what was tuned
    before. Some ten seconds per graph.

    Raises what opening the artifact raises; :class:`UnsupportedFeatureError` where there is no
    cache to keep kernels in; :class:`~neml2_aoti_plugin.tuning.build.BuildError` where there is no
    compiler or it fails; and :class:`TuningError` for kernels with other bits.
    """
    cache = default_cache()
    if cache is None:
        raise UnsupportedFeatureError(
            "tuned kernels are kept in the cache of libraries, and there is none: it is switched "
            f"off, or its folder cannot be used. Set {FOLDER_VARIABLE} to a folder of yours"
        )
    manifest = read_artifact(path, device="cpu", dtype=dtype)
    provide_operators(manifest.operators)
    facts = inspect_graphs(manifest)
    for name in graph_names(manifest):
        yield _tuned(name, facts[name], cache, again=again)


def _tuned(name: str, facts: PackageFacts, cache: LibraryCache, *, again: bool) -> TunedGraph:
    library = cache.library(facts.file)
    target = tuned_kernels_file(library, torch.__version__)
    if target.exists() and not again:
        return TunedGraph(name=name, outcome=Outcome.ALREADY)
    if facts.arguments is None:
        return _left(name, "its source does not tell what it takes")
    try:
        kernels = _kernels(facts.file)
    except UnknownSourceError as error:
        return _left(name, str(error))
    if not kernels.marks:
        return _left(name, "no argument of its kernels can be marked")
    with tempfile.TemporaryDirectory(prefix="neml2_aoti_plugin-") as folder:
        built = Path(folder) / "kernels.so"
        build(kernels, built)
        trial = try_kernels(library, built, facts.arguments, Path(folder))
        if not trial.agrees:
            raise TuningError(
                f"{facts.file}: the kernels that were compiled again compute something else. "
                "Nothing has been kept; please report this with the artifact"
            )
        if trial.gain < LEAST_GAIN:
            target.unlink(missing_ok=True)
            return TunedGraph(name=name, outcome=Outcome.NO_GAIN, trial=trial)
        write_whole(target, built.read_bytes())
    return TunedGraph(name=name, outcome=Outcome.TUNED, trial=trial)


def _left(name: str, reason: str) -> TunedGraph:
    return TunedGraph(name=name, outcome=Outcome.LEFT, reason=reason)


def _kernels(package: Path) -> Kernels:
    sources = kernel_sources(package)
    if sources is None:
        raise UnknownSourceError("its package carries no source of kernels")
    return marked_kernels(*sources)
