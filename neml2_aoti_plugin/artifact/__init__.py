"""Reads an artifact of neml2-compile into one trusted description, without opening a graph.

::

    path -> folder -> trust -> document -> version, upgrades -> reader -> Manifest
                                                    -> graphs -> package, machine  (checks)
                                                    -> arguments                   (checks)

``folder`` finds the metadata and the leaf, ``trust`` compares all files with a lock, ``document``
parses the metadata, ``version`` brings it to the canonical schema, ``reader`` checks every field.
Then each graph file is found, verified and compared with this machine and with the metadata. All
errors are ArtifactError; no torch and no neml2 is needed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from neml2_aoti_plugin.artifact.arguments import check_arguments
from neml2_aoti_plugin.artifact.device import check_dtype, device_family
from neml2_aoti_plugin.artifact.document import load_document
from neml2_aoti_plugin.artifact.folder import choose_leaf, find_metadata, pinned_leaf
from neml2_aoti_plugin.artifact.graphs import check_graph_files, graph_names
from neml2_aoti_plugin.artifact.library_cache import default_cache
from neml2_aoti_plugin.artifact.machine import this_machine
from neml2_aoti_plugin.artifact.manifest import Leaf, Manifest
from neml2_aoti_plugin.artifact.package import PackageFacts, check_package, inspect_package
from neml2_aoti_plugin.artifact.reader import canonical_fields, read_manifest, read_recorded_leaf
from neml2_aoti_plugin.artifact.trust import check_trust, lock_policy
from neml2_aoti_plugin.artifact.version import SHARED_METADATA_SINCE, upgrade_to_canonical

__all__ = ["PackageFacts", "inspect_graphs", "read_artifact", "read_metadata"]


def read_artifact(
    path: str | Path, *, device: str, dtype: str | None = None, lock: str | None = None
) -> Manifest:
    """Read and verify the artifact at ``path`` for one device and dtype.

    ``path`` is a metadata file or the folder of the artifact; ``device`` a torch device string;
    ``dtype`` is ``float64``, ``float32``, or ``None`` for float64 if there, else the only one;
    ``lock`` a word of :class:`~neml2_aoti_plugin.artifact.trust.LockPolicy`.

    Raises ArtifactError or one of its kinds for what is wrong with the files, IntegrityError
    where they are not as they were locked, InputError for another word, and LeafRequestError
    (a ValueError) for a device or dtype that no artifact has.
    """
    metadata_file = _find(path, device, dtype)
    locked = check_trust(metadata_file.parent, lock_policy(lock))
    manifest = _read(metadata_file, device, dtype)
    check_graph_files(manifest)
    if locked is not None:
        graphs = (manifest.leaf.folder / name for name in graph_names(manifest))
        locked.require(metadata_file, *graphs)
    packages = inspect_graphs(manifest)
    operators = frozenset[str]().union(*(package.operators for package in packages.values()))
    return check_arguments(replace(manifest, operators=operators, lock=locked), packages)


def read_metadata(path: str | Path, *, device: str, dtype: str | None = None) -> Manifest:
    """What the metadata say, whether or not the graphs that they name are there and fit.

    Arguments and errors are those of :func:`read_artifact`.
    """
    return _read(_find(path, device, dtype), device, dtype)


def _find(path: str | Path, device: str, dtype: str | None) -> Path:
    device_family(device)
    check_dtype(dtype)
    return find_metadata(path, device)


def _read(metadata_file: Path, device: str, dtype: str | None) -> Manifest:
    document = upgrade_to_canonical(load_document(metadata_file), metadata_file)
    fields = canonical_fields(document, metadata_file)
    leaf: Leaf
    if document.written_version < SHARED_METADATA_SINCE:
        leaf = pinned_leaf(metadata_file, read_recorded_leaf(fields), device, dtype)
    else:
        leaf = choose_leaf(metadata_file, device, dtype)
    return read_manifest(
        fields,
        written_version=document.written_version,
        metadata_file=metadata_file,
        leaf=leaf,
    )


def inspect_graphs(manifest: Manifest) -> dict[str, PackageFacts]:
    """Verify every graph file of the manifest and say, by name, what it needs to run."""
    cache = default_cache()
    inspect = cache.facts if cache else inspect_package
    facts = {name: inspect(manifest.leaf.folder / name) for name in graph_names(manifest)}
    for package in facts.values():
        check_package(package, manifest.leaf, this_machine(), manifest.metadata_file)
    return facts
