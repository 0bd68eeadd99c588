"""``neml2-aoti lock``: writes, verifies and renews."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from artifact_cache import CompiledCase
from said import Program

from neml2_aoti_plugin.artifact.lock import LOCK_NAME

Copy = Callable[[CompiledCase], CompiledCase]


def test_lock_writes_a_lock_that_inspect_shows(
    aoti: Program, elasticity: CompiledCase, copy_of: Copy
) -> None:
    case = copy_of(elasticity)
    said = aoti("lock", case.stub, "--json")
    assert said.code == 0
    (lock,) = said.data["locks"]
    assert lock["state"] == "locked"
    assert lock["written_by"] == "neml2 3.1.0"
    assert lock["file"] == str(case.root / LOCK_NAME)
    written = json.loads((case.root / LOCK_NAME).read_text())
    assert written["digest"] == lock["digest"]
    assert written["files"] == lock["files"]
    shown = aoti("inspect", case.root)
    assert f"digest {lock['digest'][:16]}" in shown.out
    assert aoti("inspect", case.root, "--json").data["lock"]["digest"] == lock["digest"]


def test_lock_leaves_a_lock_alone_that_fits(
    aoti: Program, elasticity: CompiledCase, copy_of: Copy
) -> None:
    case = copy_of(elasticity)
    assert "locked" in aoti("lock", case.root).out
    before = (case.root / LOCK_NAME).read_bytes()
    assert aoti("lock", case.root, "--json").data["locks"][0]["state"] == "unchanged"
    assert aoti("lock", case.root, "--check", "--json").data["locks"][0]["state"] == "verified"
    assert (case.root / LOCK_NAME).read_bytes() == before


def test_lock_replaces_one_that_no_longer_fits_only_when_told(
    aoti: Program, elasticity: CompiledCase, copy_of: Copy
) -> None:
    case = copy_of(elasticity)
    aoti("lock", case.root)
    case.metadata.write_text(case.metadata.read_text() + "\n")
    for words in ((), ("--check",)):
        said = aoti("lock", case.root, *words)
        assert said.code == 1
        assert "metadata.json has sha256" in said.err
    assert aoti("inspect", case.root).code == 1
    assert aoti("lock", case.root, "--renew", "--json").data["locks"][0]["state"] == "renewed"
    assert aoti("lock", case.root, "--check").code == 0


def test_lock_check_needs_a_lock(aoti: Program, elasticity: CompiledCase) -> None:
    said = aoti("lock", elasticity.root, "--check")
    assert said.code == 2
    assert "no artifact.lock. Without --check this command writes one" in said.err


def test_lock_of_nothing_is_refused(aoti: Program, tmp_path: Path) -> None:
    said = aoti("lock", tmp_path)
    assert said.code == 2
    assert "no metadata.json in this folder" in said.err
