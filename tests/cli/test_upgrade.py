"""``neml2-aoti upgrade``: what becomes schema 14, read by this package and by neml2 itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from artifact_cache import CompiledCase, compiled, compiled_feature
from said import Program

from neml2_aoti_plugin import Model

CAN = {
    "elasticity/schema2_baked": compiled,
    "elasticity/schema7": compiled,
    "elasticity/schema12": compiled,
    "chaboche/schema12": compiled,
    "composed/schema12": compiled,
    "sites/schema3": compiled_feature,
    "sites/schema7": compiled_feature,
    "perzyna/gmres_schema12": compiled_feature,
}

CANNOT = {
    "elasticity/schema2": (compiled, "its graphs take E at the stored shape"),
    "elasticity/schema3": (compiled, "its graphs take E at the stored shape"),
    "chaboche/schema2": (compiled, "its graphs linearize and solve in one"),
    "chaboche/schema3": (compiled, "its graphs linearize and solve in one"),
    "chaboche/schema7": (compiled, "its graphs linearize and solve in one"),
    "composed/schema2": (compiled, "model_seg2_jvp.pt2 returns one matrix of"),
    "perzyna/substepped_schema12": (
        compiled_feature,
        "substeps take a fraction of the value of strain",
    ),
}


def open_case(name: str, open_one: Callable[..., CompiledCase]) -> CompiledCase:
    case, _, variant = name.partition("/")
    return open_one(case, variant=variant)


def states(model: Model, rows: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    drawn = {
        each.public_name: 1e-3
        * torch.rand(
            (rows, *(each.sub_batch_shape or ()), *each.base_shape),
            generator=generator,
            dtype=torch.float64,
        )
        for each in model.manifest.inputs
    }
    times = {"t": torch.ones(rows), "t~1": torch.zeros(rows)}
    return drawn | {name: times[name].double() for name in times if name in drawn}


@pytest.mark.parametrize("name", CAN)
def test_upgraded_artifact_gives_the_same_bits(aoti: Program, tmp_path: Path, name: str) -> None:
    case = open_case(name, CAN[name])
    said = aoti("upgrade", case.metadata, "-o", tmp_path / "new", "--json")

    assert said.code == 0, said.out
    assert said.data["from_schema"] < said.data["to_schema"] == 14
    old, new = Model(case.metadata), Model(tmp_path / "new")
    assert new.manifest.schema_version == 14
    inputs = states(old)
    expected = old.forward(inputs)
    found = new.forward(inputs)
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    if old.manifest.derivatives:
        _, expected_blocks = old.jacobian(inputs)
        _, blocks = new.jacobian(inputs)
        for output, row in expected_blocks.items():
            assert all(torch.equal(blocks[output][key], block) for key, block in row.items())


READ_BY_NEML2 = """
import sys, torch, neml2
from neml2.aoti import _aoti
model = _aoti.Model(sys.argv[1])
inputs = torch.load(sys.argv[2], weights_only=True)
torch.save(dict(model.forward(inputs)), sys.argv[3])
"""


@pytest.mark.parametrize(
    "name", ["elasticity/schema2_baked", "elasticity/schema7", "chaboche/schema12", "sites/schema3"]
)
def test_neml2_itself_runs_what_was_upgraded(aoti: Program, tmp_path: Path, name: str) -> None:
    if not _binary_is_usable(aoti):
        pytest.skip("neml2's own binary is not for this torch")
    case = open_case(name, CAN[name])
    aoti("upgrade", case.metadata, "-o", tmp_path / "new")
    model = Model(case.metadata)
    inputs = states(model)
    torch.save(inputs, tmp_path / "inputs.pt")
    metadata, outputs = tmp_path / "new" / "metadata.json", tmp_path / "outputs.pt"
    words = [str(metadata.parent), str(tmp_path / "inputs.pt"), str(outputs)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ_BY_NEML2, *words],
        env={"NEML2_AOTI_PLUGIN": "0", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = torch.load(outputs, weights_only=True)
    for key, value in model.forward(inputs).items():
        torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-9)


def _binary_is_usable(aoti: Program) -> bool:
    findings = aoti("doctor", "--json").data["findings"]
    return any(e["subject"] == "neml2's binary" and e["state"] == "ok" for e in findings)


@pytest.mark.parametrize("name", CANNOT)
def test_what_schema_14_cannot_say_is_refused_by_name(
    aoti: Program, tmp_path: Path, name: str
) -> None:
    open_one, reason = CANNOT[name]
    case = open_case(name, open_one)
    said = aoti("upgrade", case.stub, "-o", tmp_path / "new")

    assert said.code == 1
    assert reason in said.err
    assert "recompile: neml2-compile INPUT.i --model model" in said.err
    assert not (tmp_path / "new").exists()


def test_upgrade_of_the_newest_schema_copies_it(
    aoti: Program, elasticity: CompiledCase, tmp_path: Path
) -> None:
    said = aoti("upgrade", elasticity.root, "-o", tmp_path / "new", "--json")

    assert said.code == 0
    assert json.loads((tmp_path / "new" / "metadata.json").read_text()) == json.loads(
        elasticity.metadata.read_text()
    )


def test_upgrade_never_writes_into_a_folder_that_is_there(
    aoti: Program, elasticity: CompiledCase, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "precious").touch()
    said = aoti("upgrade", elasticity.root, "-o", tmp_path / "new")

    assert said.code == 2
    assert "is there already" in said.err
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["precious"]


def test_upgrade_of_a_damaged_artifact_is_negative(
    aoti: Program,
    copy_of: Callable[[CompiledCase], CompiledCase],
    compiled_case: Callable[..., CompiledCase],
    tmp_path: Path,
) -> None:
    case = copy_of(compiled_case("elasticity", variant="schema12"))
    next(case.root.rglob("model.pt2")).unlink()
    said = aoti("upgrade", case.root, "-o", tmp_path / "new")

    assert said.code == 1
    assert "model.pt2" in said.err
    assert not (tmp_path / "new").exists()
