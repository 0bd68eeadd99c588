"""What the fuzzers have kept is run again, without a fuzzer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cpp_targets import TARGETS, build, kept_inputs, replay
from manifests import prepare_folder
from metadata import CORPUS
from metadata import replay as replay_metadata


def test_kept_metadata_are_sound_or_refused(tmp_path: Path) -> None:
    assert replay_metadata(prepare_folder(tmp_path / "artifact")) == len(list(CORPUS.iterdir()))
    assert len(list(CORPUS.iterdir())) > 0


@pytest.mark.parametrize("target", TARGETS)
def test_kept_inputs_of_the_core_break_nothing(target: str, tmp_path: Path) -> None:
    compiler = shutil.which("c++")
    assert compiler is not None
    executable = build(target, compiler, tmp_path, with_fuzzer=False)
    try:
        assert replay(target, executable) == len(kept_inputs(target)) > 0
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error.stdout}{error.stderr}")
