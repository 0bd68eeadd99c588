"""Locks: what is found, what is demanded, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from artifact_cache import CompiledCase, compiled

from neml2_aoti_plugin import InputError, IntegrityError, Model
from neml2_aoti_plugin.artifact import library_cache, read_artifact
from neml2_aoti_plugin.artifact.lock import LOCK_NAME, make_lock, read_lock, write_lock
from neml2_aoti_plugin.artifact.trust import (
    ALLOWED_VARIABLE,
    POLICY_VARIABLE,
    LockPolicy,
    lock_policy,
)


@pytest.fixture
def root(elasticity: CompiledCase, tmp_path: Path) -> Path:
    """A copy of an artifact, not locked."""
    copy = tmp_path / "model"
    shutil.copytree(elasticity.root, copy)
    return copy


@pytest.fixture
def locked(root: Path) -> Path:
    write_lock(make_lock(root, written_by="3.1.0", torch=torch.__version__))
    return root


STRAIN = {"strain": torch.full((2, 6), 1e-3, dtype=torch.float64)}


def digest_of(root: Path) -> str:
    lock = read_lock(root)
    assert lock is not None
    return lock.digest


# --- what a lock finds


def test_a_locked_artifact_runs_and_tells_its_lock(locked: Path) -> None:
    model = Model(locked)
    assert model.manifest.lock is not None
    assert model.manifest.lock.digest == digest_of(locked)
    assert model.forward(STRAIN)["stress"].isfinite().all()


def test_an_artifact_without_a_lock_runs(root: Path) -> None:
    assert Model(root).manifest.lock is None


def test_a_lock_lists_every_file_but_itself(locked: Path) -> None:
    lock = read_lock(locked)
    assert lock is not None
    files = {path.relative_to(locked).as_posix() for path in locked.rglob("*") if path.is_file()}
    assert dict(lock.files).keys() == files - {LOCK_NAME}
    assert make_lock(locked, written_by="", torch=None).digest == lock.digest


def test_any_changed_byte_is_found(locked: Path) -> None:
    """One byte in each sixteenth of every file."""
    for file in sorted(path for path in locked.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for part in range(16):
            changed = bytearray(content)
            changed[part * (len(content) - 1) // 15] ^= 0x20
            file.write_bytes(changed)
            with pytest.raises(IntegrityError) as caught:
                read_artifact(locked, device="cpu")
            assert file.name in str(caught.value)
        file.write_bytes(content)
    Model(locked)


def test_the_refusal_says_what_was_found_and_what_to_do(locked: Path) -> None:
    graph = locked / "cpu" / "float64" / "model.pt2"
    expected = dict(make_lock(locked, written_by="", torch=None).files)
    graph.write_bytes(graph.read_bytes() + b"x")
    (locked / "cpu" / "float64" / "model_jac.pt2").unlink(missing_ok=True)
    with pytest.raises(IntegrityError) as caught:
        Model(locked)
    said = str(caught.value)
    assert said.startswith(f"{locked}: ")
    assert f"of {len(expected)} files are not as artifact.lock of 2" in said
    assert "cpu/float64/model.pt2 has sha256 " in said
    assert f", expected {expected['cpu/float64/model.pt2']}" in said
    assert said.endswith("lock it anew with neml2-aoti lock --renew.")


def test_a_missing_file_is_found(locked: Path) -> None:
    (locked / "metadata.json").rename(locked / "was.json")
    (locked / "metadata.json").write_bytes((locked / "was.json").read_bytes())
    (locked / "cpu" / "float64" / "model.pt2").unlink()
    with pytest.raises(IntegrityError, match=r"cpu/float64/model\.pt2 is missing"):
        Model(locked)


def test_files_beside_are_nobodys_business(locked: Path) -> None:
    (locked / "README").write_text("ours")
    Model(locked)


def test_a_graph_that_the_lock_does_not_know_is_refused(root: Path) -> None:
    graph = root / "cpu" / "float64" / "model.pt2"
    content = graph.read_bytes()
    graph.unlink()
    write_lock(make_lock(root, written_by="3.1.0", torch=None))
    graph.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"cpu/float64/model\.pt2 not in artifact\.lock of"):
        Model(root)


def test_a_graph_that_is_swapped_after_opening_is_not_run(locked: Path) -> None:
    """Graphs are opened when they first run."""
    model = Model(locked)
    graph = locked / "cpu" / "float64" / "model.pt2"
    content = bytearray(graph.read_bytes())
    content[-1] ^= 1
    graph.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"model\.pt2 has sha256"):
        model.forward(STRAIN)


def test_old_layouts_are_locked_where_their_metadata_lie(tmp_path: Path) -> None:
    case = compiled("elasticity", variant="schema7")
    copy = tmp_path / "model"
    shutil.copytree(case.root, copy)
    write_lock(make_lock(copy / "cpu", written_by="3.0.6", torch=None))
    assert Model(copy).manifest.lock is not None
    graph = next((copy / "cpu").glob("*.pt2"))
    graph.write_bytes(b"")
    with pytest.raises(IntegrityError, match=graph.name):
        Model(copy)


# --- what a lock may be


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"format": 2}, "format is 2; expected 1"),
        ({"files": {}}, "files is no object with names"),
        ({"files": {"metadata.json": "short"}}, "is 'short'; expected 64 hexadecimal digits"),
        ({"files": {"../out": "0" * 64}}, "'../out' is no name below the folder"),
        ({"files": {"/etc/passwd": "0" * 64}}, "'/etc/passwd' is no name below the folder"),
        ({"files": {"a\nb": "0" * 64}}, r"'a\nb' is no name below the folder"),
        ({"files": {"metadata.json": "0" * 64}}, "the lock itself was changed"),
        ({"digest": "0" * 64}, "the lock itself was changed"),
        ({"torch": "9.9"}, "the lock itself was changed"),
    ],
)
def test_a_file_that_is_no_lock_is_refused(
    locked: Path, edit: dict[str, object], message: str
) -> None:
    file = locked / LOCK_NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | edit))
    with pytest.raises(IntegrityError) as caught:
        Model(locked)
    assert str(file) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"a": 1, "a": 2}'])
def test_a_damaged_lock_is_refused(locked: Path, content: bytes) -> None:
    (locked / LOCK_NAME).write_bytes(content)
    with pytest.raises(IntegrityError, match=LOCK_NAME):
        Model(locked)


def test_a_dangling_link_is_no_missing_lock(root: Path) -> None:
    (root / LOCK_NAME).symlink_to(root / "gone")
    with pytest.raises(IntegrityError, match="not a regular file"):
        Model(root)


def test_a_link_out_of_the_artifact_cannot_be_locked(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("x")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RuntimeError, match="outside the artifact, so it cannot be locked"):
        make_lock(root, written_by="3.1.0", torch=None)


# --- what is demanded


@pytest.mark.parametrize(
    ("asked", "environment", "expected"),
    [
        (None, None, LockPolicy.IF_PRESENT),
        ("off", None, LockPolicy.OFF),
        (None, "off", LockPolicy.OFF),
        ("off", "required", LockPolicy.REQUIRED),
        ("required", "off", LockPolicy.REQUIRED),
        ("off", "if-present", LockPolicy.IF_PRESENT),
    ],
)
def test_the_stricter_demand_counts(
    asked: str | None,
    environment: str | None,
    expected: LockPolicy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if environment is None:
        monkeypatch.delenv(POLICY_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(POLICY_VARIABLE, environment)
    assert lock_policy(asked) is expected


def test_other_words_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="lock is 'yes'; expected one of 'off', 'if-present',"):
        Model(root, lock="yes")
    monkeypatch.setenv(POLICY_VARIABLE, "always")
    with pytest.raises(InputError, match=f"{POLICY_VARIABLE} is 'always'"):
        Model(root)


def test_a_required_lock_must_be_there(
    root: Path, locked_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(IntegrityError, match=r"no artifact\.lock, which is required"):
        Model(root, lock="required")
    Model(locked_copy, lock="required")
    monkeypatch.setenv(POLICY_VARIABLE, "required")
    with pytest.raises(IntegrityError, match=r"no artifact\.lock, which is required"):
        Model(root, lock="off")


@pytest.fixture
def locked_copy(root: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "locked"
    shutil.copytree(root, copy)
    write_lock(make_lock(copy, written_by="3.1.0", torch=None))
    return copy


def test_off_opens_what_was_changed(locked: Path) -> None:
    file = locked / "metadata.json"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(IntegrityError):
        Model(locked)
    assert Model(locked, lock="off").manifest.lock is None


def test_only_allowed_digests_are_opened(
    root: Path, locked_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text("# nobody yet\n")
    monkeypatch.setenv(ALLOWED_VARIABLE, str(allowed))
    digest = digest_of(locked_copy)
    with pytest.raises(IntegrityError, match=f"is {digest}, which is not among the 0"):
        Model(locked_copy, lock="off")
    with pytest.raises(IntegrityError, match=f"is needed, as {ALLOWED_VARIABLE} is set"):
        Model(root)
    allowed.write_text(f"# elasticity\n\n{digest.upper()}  # of the paper\n")
    Model(locked_copy)
    allowed.write_text("12\n")
    with pytest.raises(IntegrityError, match="allowed:1: '12' is no digest"):
        Model(locked_copy)
    allowed.unlink()
    with pytest.raises(IntegrityError, match="which cannot be read"):
        Model(locked_copy)


def test_an_input_file_may_demand_a_lock(elasticity: CompiledCase, tmp_path: Path) -> None:
    import neml2

    copy = tmp_path / "copy"
    shutil.copytree(elasticity.folder, copy)
    stub = copy / elasticity.stub.relative_to(elasticity.folder)
    text = stub.read_text()
    block = "type = AOTIModel"
    stub.write_text(text.replace(block, f"{block}\nlock = required"))
    with pytest.raises(IntegrityError, match="which is required"):
        neml2.load_model(str(stub), "model")
    root = copy / elasticity.root.relative_to(elasticity.folder)
    write_lock(make_lock(root, written_by="3.1.0", torch=None))
    neml2.load_model(str(stub), "model")
    stub.write_text(text.replace(block, f"{block}\nlock = maybe"))
    with pytest.raises(
        InputError, match=r"\[Models/model\]: lock is 'maybe'; expected one of 'off'"
    ):
        neml2.load_model(str(stub), "model")


def test_a_copy_is_opened_under_the_same_demand(
    locked_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import copy

    from neml2_aoti_plugin import AOTIModel

    model = AOTIModel(locked_copy, lock="required")
    (locked_copy / LOCK_NAME).unlink()
    with pytest.raises(IntegrityError, match="which is required"):
        copy.deepcopy(model)


def test_without_a_library_cache_a_lock_is_verified_when_the_model_is_opened(
    locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(library_cache.FOLDER_VARIABLE, "off")
    assert Model(locked).forward(STRAIN)["stress"].isfinite().all()
    graph = locked / "cpu" / "float64" / "model.pt2"
    graph.write_bytes(graph.read_bytes() + b"x")
    with pytest.raises(IntegrityError):
        Model(locked)
