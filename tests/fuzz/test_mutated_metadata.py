"""Metadata mutated in every way that the fuzzer knows are read soundly or refused."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from choices import SeededChoices
from documents import mutated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_artifacts import GOLDEN, golden
from manifests import prepare_folder, read

from neml2_aoti_plugin.artifact.manifest import Manifest
from neml2_aoti_plugin.errors import ArtifactError

LONGEST_SECONDS = 5.0
"""Of the processor. Metadata take milliseconds; what takes this long grows faster than its file."""

MEMORY_AT_LEAST = 8 << 20
MEMORY_PER_BYTE = 60
"""A list of short numbers, parsed and held twice."""


class DrawnChoices:
    """Choices that hypothesis makes, and so can shrink."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def below(self, count: int) -> int:
        return self._data.draw(st.integers(0, count - 1))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_folder(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def _traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("name", GOLDEN)
@settings(
    max_examples=40,
    deadline=None,  # the machine may be busy with something else
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_mutated_metadata_are_sound_or_refused(name: str, file: Path, data: st.DataObject) -> None:
    content = mutated(golden(name), DrawnChoices(data))
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    start = time.process_time()
    read(content, file)
    assert time.process_time() - start < LONGEST_SECONDS
    peak = tracemalloc.get_traced_memory()[1] - before
    assert peak < MEMORY_AT_LEAST + MEMORY_PER_BYTE * len(content)


def test_mutations_reach_both_answers(file: Path) -> None:
    """Else the property would say little: most are refused, and not all."""
    document = golden("v14/viscoplasticity")
    answers = [read(mutated(document, SeededChoices(seed)), file) for seed in range(200)]
    refused = [answer for answer in answers if isinstance(answer, ArtifactError)]
    kinds = {str(refusal).partition("; expected")[2][:20] for refusal in refused}
    assert len(refused) > 100
    assert sum(isinstance(answer, Manifest) for answer in answers) > 10
    assert len(kinds) > 20


@pytest.mark.parametrize("depth", range(900, 1000, 3))
@pytest.mark.parametrize("place", ["segments", "type"])
def test_nesting_near_the_limit_of_the_parser_is_refused(
    file: Path, place: str, depth: int
) -> None:
    document: dict[str, Any] = golden("v14/elasticity") | {place: "HERE"}
    text = json.dumps(document).replace('"HERE"', "[" * depth + "]" * depth)
    assert isinstance(read(text.encode(), file), ArtifactError)


def test_a_shape_of_many_axes_is_refused_at_once(file: Path) -> None:
    """The product of its extents is never formed."""
    document = golden("v14/elasticity")
    document["inputs"][0]["base_shape"] = [2**31 - 1] * 1_000_000
    refusal = read(json.dumps(document).encode(), file)
    assert "inputs[0].base_shape is [2147483647" in str(refusal)


def test_many_variables_of_an_old_file_are_refused_at_once(file: Path) -> None:
    """Schema 3 offers every output by every input, which nobody should write down for these."""
    document = golden("v3/elasticity")
    for key in ("inputs", "outputs"):
        document[key] = [
            {"name": f"{key}{index}", "var_type": "Scalar", "var_size": 1}
            for index in range(20_000)
        ]
    assert "inputs is [" in str(read(json.dumps(document).encode(), file))
