"""The whole way from a path to the manifest, over made-up packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_artifacts import (
    GOLDEN,
    golden,
    package_members,
    write_artifact,
    write_leaf,
    write_package,
)

from neml2_aoti_plugin.artifact import inspect_graphs, read_artifact
from neml2_aoti_plugin.artifact.device import LeafRequestError
from neml2_aoti_plugin.errors import (
    ArtifactError,
    ArtifactNotFoundError,
)

COMMAND = "neml2-compile INPUT.i --model model"
MAKE_OTHER = "Choose one of these, or make the other with the options of the first compilation:"


def refusal(path: Path, device: str = "cpu", dtype: str | None = None) -> str:
    with pytest.raises(ArtifactError) as caught:
        read_artifact(path, device=device, dtype=dtype)
    return str(caught.value)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_artifact_is_read(tmp_path: Path, name: str) -> None:
    root = write_artifact(tmp_path, golden(name))
    manifest = read_artifact(root, device="cpu")
    assert manifest.leaf.device == "cpu"
    assert manifest.leaf.dtype == "float64"
    assert manifest.leaf.folder.is_dir()
    assert manifest.metadata_file.is_file()
    assert all(facts.needs_opaque_pow for facts in inspect_graphs(manifest).values())


# -- paths ---------------------------------------------------------------------------------------


def test_new_layout_is_found_by_root_and_by_file(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    expected = read_artifact(root, device="cpu")
    assert read_artifact(str(root / "metadata.json"), device="cpu") == expected
    assert expected.leaf.folder == root / "cpu" / "float64"


def test_old_layout_is_found_by_root_by_folder_and_by_file(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v7/elasticity"))
    expected = read_artifact(root, device="cpu")
    assert read_artifact(root / "cpu", device="cpu") == expected
    assert read_artifact(root / "cpu" / "model_meta.json", device="cpu") == expected
    assert expected.leaf.folder == root / "cpu"


def test_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_artifact(tmp_path, golden("v14/elasticity"))
    monkeypatch.chdir(tmp_path)
    assert read_artifact("model", device="cpu").leaf.folder == tmp_path / "model/cpu/float64"


def test_missing_path_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    with pytest.raises(FileNotFoundError) as caught:
        read_artifact(path, device="cpu")
    assert isinstance(caught.value, ArtifactNotFoundError)
    assert str(caught.value) == (
        f"{path}: no metadata.json, as there is no such file or folder. "
        "Correct the path, or make the artifact with neml2-compile."
    )


def test_folder_without_metadata_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"{tmp_path}: no metadata.json in this folder, and no *_meta.json here or in 'cpu'. "
        "Correct the path, or make the artifact with neml2-compile."
    )


def test_leaf_in_place_of_the_root_is_explained(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    leaf = root / "cpu" / "float64"
    assert refusal(leaf) == (
        f"{leaf}: no metadata.json in this folder, and no *_meta.json here or in 'cpu'. "
        f"Give '{root}', which has one, and choose by device and dtype."
    )


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model_aoti.i"
    file.write_text("[Models]\n[]\n")
    assert refusal(file) == (
        f"{file}: no metadata.json but a '.i' file; "
        "expected the folder that neml2-compile wrote, or the metadata file in it."
    )


def test_two_metadata_files_of_the_old_layout_are_refused(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v7/elasticity"))
    shutil.copy(root / "cpu" / "model_meta.json", root / "cpu" / "other_meta.json")
    assert refusal(root) == (
        f"{root / 'cpu'}: 2 metadata files: model_meta.json, other_meta.json; expected one. "
        "Give the path of the one that is meant."
    )


@pytest.mark.parametrize("name", ["v2/elasticity", "v3/viscoplasticity"])
def test_oldest_layout_is_found_by_its_folder_and_by_its_file(tmp_path: Path, name: str) -> None:
    root = write_artifact(tmp_path, golden(name))
    by_folder = read_artifact(root, device="cpu")
    assert by_folder.schema_version == golden(name)["schema_version"]
    assert by_folder.leaf.folder == root
    assert read_artifact(root / "model_meta.json", device="cpu") == by_folder


# -- leaves --------------------------------------------------------------------------------------


def test_float64_is_the_default_where_it_is(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"), leaves=("cpu/float32", "cpu/float64"))
    assert read_artifact(root, device="cpu").leaf.dtype == "float64"
    assert read_artifact(root, device="cpu", dtype="float32").leaf.dtype == "float32"


def test_the_only_leaf_is_the_default(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"), leaves=("cpu/float32",))
    assert read_artifact(root, device="cpu").leaf.dtype == "float32"


def test_missing_leaf_of_the_new_layout_is_refused(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"), leaves=("cpu/float32", "cpu/float64"))
    assert refusal(root, device="cuda:1") == (
        f"{root / 'metadata.json'}: no compiled artifact for device 'cuda' and dtype 'float64'. "
        f"Available: cpu/float64, cpu/float32. {MAKE_OTHER} "
        f"{COMMAND} --device cuda --dtype float64"
    )


def test_missing_dtype_of_the_new_layout_is_refused(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    assert refusal(root, dtype="float32") == (
        f"{root / 'metadata.json'}: no compiled artifact for device 'cpu' and dtype 'float32'. "
        f"Available: cpu/float64. {MAKE_OTHER} {COMMAND} --device cpu --dtype float32"
    )


@pytest.mark.parametrize("by", ["", "cpu/model_meta.json"], ids=["root", "file"])
def test_missing_leaf_of_the_old_layout_is_refused(tmp_path: Path, by: str) -> None:
    root = write_artifact(tmp_path, golden("v7/elasticity"))
    assert refusal(root / by, device="cuda") == (
        f"{root / 'cpu' / 'model_meta.json'}: no compiled artifact for device 'cuda' and dtype "
        f"'float64'. Available: cpu/float64. {MAKE_OTHER} "
        f"{COMMAND} --device cuda --dtype float64"
    )


def test_missing_dtype_of_the_old_layout_is_refused(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v7/elasticity"))
    assert "no compiled artifact for device 'cpu' and dtype 'float32'. Available: cpu/float64" in (
        refusal(root, dtype="float32")
    )


def test_old_layout_keeps_the_recorded_dtype_and_the_index_of_the_device(tmp_path: Path) -> None:
    document = golden("v7/elasticity") | {"device": "cuda", "dtype": "float32"}
    leaf = write_leaf(tmp_path / "model" / "cuda", document)
    for graph in leaf.glob("*.pt2"):
        write_package(graph, package_members(AOTI_DEVICE_KEY="cuda"))
    (leaf / "model_meta.json").write_text(json.dumps(document))
    manifest = read_artifact(tmp_path / "model", device="cuda:1")
    assert manifest.leaf.device == "cuda:1"
    assert manifest.leaf.dtype == "float32"


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (
            "tpu",
            "device is 'tpu', of the unknown family 'tpu'; expected one of "
            "cpu, cuda, xpu, hip, mps, with an index after a colon or without.",
        ),
        ("cuda:x", "device is 'cuda:x', with the index 'x'; expected a number, as in 'cuda:0'."),
        ("cuda:", "device is 'cuda:', with the index ''; expected a number, as in 'cuda:0'."),
    ],
)
def test_unknown_device_is_a_value_error(tmp_path: Path, device: str, message: str) -> None:
    with pytest.raises(ValueError, match="device is") as caught:
        read_artifact(tmp_path, device=device)
    assert isinstance(caught.value, LeafRequestError)
    assert str(caught.value) == message


def test_unknown_dtype_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dtype is") as caught:
        read_artifact(tmp_path, device="cpu", dtype="float16")
    assert str(caught.value) == (
        "dtype is 'float16'; expected one of float64, float32, or None to choose "
        "by what the artifact holds."
    )


# -- graph files ---------------------------------------------------------------------------------


def incomplete(leaf: Path, names: str, count: int) -> str:
    return (
        f"{leaf}: {count} of 4 graphs are no files: {names}; "
        f"expected all that '{leaf.parents[1] / 'metadata.json'}' names. Recompile this leaf: "
        "it is incomplete, or older than the metadata and compiled with other options."
    )


def test_missing_graphs_are_listed(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    leaf = root / "cpu" / "float64"
    (leaf / "model_jvp.pt2").unlink()
    (leaf / "model_pvjp.pt2").unlink()
    assert refusal(root) == incomplete(leaf, "model_jvp.pt2, model_pvjp.pt2", 2)


def test_folder_in_place_of_a_graph_is_missing(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    leaf = root / "cpu" / "float64"
    (leaf / "model.pt2").unlink()
    (leaf / "model.pt2").mkdir()
    assert refusal(root) == incomplete(leaf, "model.pt2", 1)


def test_link_out_of_the_artifact_is_refused(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    graph = root / "cpu" / "float64" / "model.pt2"
    outside = tmp_path / "outside.pt2"
    graph.rename(outside)
    graph.symlink_to(outside)
    assert refusal(root) == (
        f"{graph}: leads to '{outside}' outside the artifact; expected a file in '{root}'. "
        "Put the graph itself there."
    )


def test_linked_leaf_outside_the_artifact_is_refused(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    (root / "cpu").rename(tmp_path / "elsewhere")
    (root / "cpu").symlink_to(tmp_path / "elsewhere")
    assert "outside the artifact" in refusal(root)


def test_links_inside_and_to_the_artifact_are_followed(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    leaf = root / "cpu" / "float64"
    (leaf / "model.pt2").rename(root / "shared.pt2")
    (leaf / "model.pt2").symlink_to(root / "shared.pt2")
    (tmp_path / "link").symlink_to(root)
    read_artifact(tmp_path / "link", device="cpu")


def test_graph_out_of_the_artifact_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    document = golden("v14/elasticity")
    root = write_artifact(tmp_path, document)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # opening it would wait for ever
    document["segments"][0]["package"] = str(pipe)
    (root / "metadata.json").write_text(json.dumps(document))
    assert refusal(root) == (
        f"{root / 'metadata.json'}: segments[0].package is '{pipe}'; "
        "expected the bare name of a graph file, without any folder. Recompile the model."
    )


def test_damaged_graph_is_refused(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    graph = root / "cpu" / "float64" / "model_jvp.pt2"
    graph.write_bytes(graph.read_bytes()[:-30])
    assert refusal(root).startswith(f"{graph}: not readable as a zip archive")


def test_graph_of_another_device_is_refused(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/elasticity"))
    graph = root / "cpu" / "float64" / "model.pt2"
    write_package(graph, package_members(AOTI_DEVICE_KEY="cuda"))
    assert refusal(root) == (
        f"{graph}: compiled for device 'cuda'; expected 'cpu', as of its folder. "
        f"Recompile it here: {COMMAND} --device cpu --dtype float64"
    )


# -- layers --------------------------------------------------------------------------------------


def test_reading_imports_neither_torch_nor_the_host(tmp_path: Path) -> None:
    root = write_artifact(tmp_path, golden("v14/krylov"))
    program = (
        "import sys\n"
        "from neml2_aoti_plugin.artifact import read_artifact\n"
        "read_artifact(sys.argv[1], device='cpu')\n"
        "print(sorted({'torch', 'neml2', 'numpy'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
