"""Say what an artifact, its metadata file or a stub is: variables, parameters, segments, graphs,
solver settings, derivatives, what is damaged or missing, and the command that makes it.

Neither torch nor neml2 is needed. The exit code is 1 where anything is damaged.
"""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.artifact import read_artifact, read_metadata
from neml2_aoti_plugin.artifact.device import KNOWN_DTYPES
from neml2_aoti_plugin.artifact.folder import offered_leaves
from neml2_aoti_plugin.artifact.graphs import segment_graphs
from neml2_aoti_plugin.artifact.manifest import (
    ForwardSegment,
    FusedDirection,
    ImplicitSegment,
    KrylovDirection,
    Manifest,
    Parameter,
    Shape,
    Variable,
)
from neml2_aoti_plugin.artifact.recompile import model_name
from neml2_aoti_plugin.artifact.version import RELEASES
from neml2_aoti_plugin.cli.outcome import ExitCode, Outcome
from neml2_aoti_plugin.cli.target import InputFile, Target, complete_files, find_target
from neml2_aoti_plugin.errors import ArtifactError

if TYPE_CHECKING:
    from rich.console import Console

HELP = "say what an artifact or stub is, and what it lacks"

PAIRS_SHOWN = 12
VALUES_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafReport:
    device: str
    dtype: str
    folder: Path
    graphs: int
    bytes: int
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What the artifact could have and has not."""

    what: str
    command: str | None
    """``None`` where none makes it."""


def configure(parser: argparse.ArgumentParser) -> None:
    path = parser.add_argument(
        "path", metavar="PATH", type=Path, help="artifact folder, metadata file, or stub (.i)"
    )
    complete_files(path)
    parser.add_argument(
        "--model", metavar="NAME", help="block of the stub, where it has several compiled models"
    )


def run(args: argparse.Namespace, messages: Console) -> Outcome:
    target = find_target(args.path, args.model)
    manifest, leaves = _read(target.artifact)
    problems = [leaf.problem for leaf in leaves if leaf.problem]
    missing = list(_missing(manifest, leaves, target))
    data = _data(manifest, leaves, missing, target)

    def show(console: Console) -> None:
        _show(console, data, manifest, leaves, missing)

    return Outcome(data=data, show=show, code=ExitCode.NEGATIVE if problems else ExitCode.OK)


# --- reading


def _read(path: Path) -> tuple[Manifest, list[LeafReport]]:
    """One description of all leaves, the soundest of them, and what each is like."""
    found = sorted(set(offered_leaves(path)), key=lambda leaf: (leaf[0] != "cpu", leaf))
    if not found:
        return read_metadata(path, device="cpu"), []  # raises what is wrong
    described: list[tuple[Manifest, LeafReport]] = []
    for device, dtype in found:
        requested = dtype if dtype in KNOWN_DTYPES else None
        manifest = read_metadata(path, device=device, dtype=requested)
        problem = None
        try:
            manifest = read_artifact(path, device=device, dtype=requested)
        except ArtifactError as error:
            problem = str(error)
        described.append((manifest, _leaf_report(manifest, device, problem)))
    sound = [manifest for manifest, leaf in described if leaf.problem is None]
    return (sound or [described[0][0]])[0], [leaf for _, leaf in described]


def _leaf_report(manifest: Manifest, device: str, problem: str | None) -> LeafReport:
    files = [manifest.leaf.folder / name for name in _all_graphs(manifest)]
    sizes = [file.stat().st_size for file in files if file.is_file()]
    return LeafReport(
        device=device,
        dtype=manifest.leaf.dtype,
        folder=manifest.leaf.folder,
        graphs=len(files),
        bytes=sum(sizes),
        problem=problem,
    )


def _all_graphs(manifest: Manifest) -> list[str]:
    names = (name for segment in manifest.segments for name in segment_graphs(segment))
    return list(dict.fromkeys(names))


# --- what is missing


def _missing(manifest: Manifest, leaves: list[LeafReport], target: Target) -> Iterator[Missing]:
    base = _base_command(manifest, target)
    for leaf in leaves:
        if leaf.problem:
            yield Missing(
                what=f"a sound leaf {leaf.device}/{leaf.dtype}",
                command=_with_pairs(base, manifest, [], device=leaf.device, dtype=leaf.dtype),
            )
    lacking = missing_pairs(manifest)
    if lacking and _solves_for_sites(manifest):
        yield Missing(
            what="derivatives: neml2-compile makes none through unknowns with sub-batch axes",
            command=None,
        )
    elif lacking:
        total = len(lacking) + len(manifest.derivatives)
        yield Missing(
            what=f"{len(lacking)} of {total} derivative pairs: {_listed(lacking)}",
            command=_with_pairs(base, manifest, lacking),
        )
    by_parameter = [
        (output.public_name, parameter.public_name)
        for output in manifest.outputs
        for parameter in manifest.parameters
        if (output.name, parameter.name) not in manifest.parameter_derivatives
    ]
    if by_parameter:
        yield Missing(
            what=f"{len(by_parameter)} derivatives by parameters: {_listed(by_parameter)}",
            command=_with_pairs(base, manifest, by_parameter),
        )
    if not manifest.parameters:
        yield Missing(
            what="parameters that can be changed: all are constants",
            command=_with_pairs([*base, "-p", "NAME"], manifest, []),
        )


def _solves_for_sites(manifest: Manifest) -> bool:
    return any(shape for shape in _unknown_sites(manifest).values())


def _unknown_sites(manifest: Manifest) -> dict[str, Shape]:
    """Sub-batch shapes of everything that is solved for."""
    return {
        unknown.name: unknown.sub_batch_shape
        for segment in manifest.segments
        if isinstance(segment, ImplicitSegment)
        for unknown in segment.unknowns
    }


def missing_pairs(manifest: Manifest) -> list[tuple[str, str]]:
    """(output, input) by public names, of all pairs that were not compiled."""
    return [
        (output.public_name, given.public_name)
        for output in manifest.outputs
        for given in manifest.inputs
        if (output.name, given.name) not in manifest.derivatives
    ]


def _listed(pairs: list[tuple[str, str]]) -> str:
    shown = ", ".join(f"{output}:{given}" for output, given in pairs[:PAIRS_SHOWN])
    more = len(pairs) - PAIRS_SHOWN
    return shown + (f" and {more} more" if more > 0 else "")


def _base_command(manifest: Manifest, target: Target) -> list[str]:
    """The first words of the compilation that made the artifact, as far as it can be told."""
    stub: InputFile | None = target.stub
    source = (stub.origin if stub else None) or "MODEL.i"
    name = target.model or model_name(manifest.metadata_file)
    drivers = [each for each, model in stub.driven.items() if model == name] if stub else []
    wanted = ["--driver", drivers[0]] if drivers else ["--model", name]
    command = ["neml2-compile", source, *wanted]
    for parameter in manifest.parameters:
        command += ["-p", parameter.name]
    return command


def _with_pairs(
    base: list[str],
    manifest: Manifest,
    added: list[tuple[str, str]],
    *,
    device: str | None = None,
    dtype: str | None = None,
) -> str:
    names = _public_names(manifest)
    present = [
        (names[output], names[column])
        for output, column in (*manifest.derivatives, *manifest.parameter_derivatives)
    ]
    all_inputs = not (set(missing_pairs(manifest)) - set(added))
    parameters = {parameter.public_name for parameter in manifest.parameters}
    pairs = [f"{output}:{column}" for output, column in (*present, *added)]
    if all_inputs:
        pairs = [":", *(pair for pair in pairs if pair.partition(":")[2] in parameters)]
    words = [*base, "--device", device or manifest.leaf.device.partition(":")[0]]
    words += ["--dtype", dtype or manifest.leaf.dtype]
    return shlex.join([*words, *(word for pair in pairs for word in ("-d", pair))])


def _public_names(manifest: Manifest) -> dict[str, str]:
    variables = (*manifest.inputs, *manifest.outputs)
    return {each.name: each.public_name for each in variables} | {
        each.name: each.public_name for each in manifest.parameters
    }


# --- as data


def _data(
    manifest: Manifest, leaves: list[LeafReport], missing: list[Missing], target: Target
) -> dict[str, Any]:
    names = _public_names(manifest)
    sites = _unknown_sites(manifest)
    return {
        "sound": not any(leaf.problem for leaf in leaves),
        "metadata": manifest.metadata_file,
        "stub": target.stub.path if target.stub else None,
        "drivers": target.stub.drivers if target.stub else {},
        "model": target.model or model_name(manifest.metadata_file),
        "schema_version": manifest.schema_version,
        "written_by": RELEASES[manifest.schema_version],
        "fixed_batch": manifest.fixed_batch,
        "operators": sorted(manifest.operators),
        "lock": _lock(manifest),
        "leaves": [asdict(leaf) for leaf in leaves],
        "inputs": [_variable(each, each.sub_batch_shape) for each in manifest.inputs],
        "outputs": [_variable(each, sites.get(each.name)) for each in manifest.outputs],
        "parameters": [_parameter(parameter) for parameter in manifest.parameters],
        "segments": [_segment(segment, manifest) for segment in manifest.segments],
        "derivatives": [[names[output], names[given]] for output, given in manifest.derivatives],
        "parameter_derivatives": [
            [names[output], names[parameter]]
            for output, parameter in manifest.parameter_derivatives
        ],
        "missing": [asdict(each) for each in missing],
    }


def _lock(manifest: Manifest) -> dict[str, Any] | None:
    if manifest.lock is None:
        return None
    return {"digest": manifest.lock.digest, "locked": manifest.lock.locked}


def _variable(variable: Variable, sites: Shape | None) -> dict[str, Any]:
    """``sites``: its sub-batch shape, which files record for inputs and unknowns only."""
    return {
        "name": variable.public_name,
        "authored_name": variable.name,
        "type": variable.type_name,
        "base_shape": variable.base_shape,
        "sub_batch_shape": sites,
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.public_name,
        "authored_name": parameter.name,
        "shape": parameter.shape,
        "dtype": parameter.dtype,
        "values": parameter.values,
    }


def _segment(segment: ForwardSegment | ImplicitSegment, manifest: Manifest) -> dict[str, Any]:
    common = {"label": segment.label, "graphs": _graphs(segment, manifest)}
    if isinstance(segment, ForwardSegment):
        own: dict[str, Any] = {
            "kind": "forward",
            "inputs": segment.inputs,
            "outputs": segment.outputs,
        }
    else:
        size = sum(math.prod(u.base_shape) * math.prod(u.sub_batch_shape) for u in segment.unknowns)
        own = {
            "kind": "implicit",
            "inputs": [given.name for given in segment.givens],
            "outputs": [unknown.name for unknown in segment.unknowns],
            "unknowns_per_row": size,
            "groups": [group.structure.value for group in segment.unknown_groups],
            "linear_solver": _linear_solver(segment),
            "predictor": segment.predictor is not None,
            "max_substepping_level": segment.max_substepping_level,
            "newton": {
                "absolute_tolerance": segment.newton.absolute_tolerance,
                "relative_tolerance": segment.newton.relative_tolerance,
                "max_iterations": segment.newton.max_iterations,
                "line_search": segment.newton.line_search.value
                if segment.newton.line_search_max_iterations > 1
                else None,
                "line_search_max_iterations": segment.newton.line_search_max_iterations,
            },
        }
    return own | common | {"parameters": segment.parameters}


def _graphs(segment: ForwardSegment | ImplicitSegment, manifest: Manifest) -> list[dict[str, Any]]:
    files = [manifest.leaf.folder / name for name in segment_graphs(segment)]
    return [
        {"file": file.name, "bytes": file.stat().st_size if file.is_file() else None}
        for file in files
    ]


def _linear_solver(segment: ImplicitSegment) -> str:
    if isinstance(segment.direction, KrylovDirection):
        settings = segment.direction.settings
        preconditioned = segment.direction.preconditioner_setup is not None
        return settings.method.value + (", preconditioned" if preconditioned else "")
    return "direct, fused" if isinstance(segment.direction, FusedDirection) else "direct"


# --- for people


def _show(
    console: Console,
    data: dict[str, Any],
    manifest: Manifest,
    leaves: list[LeafReport],
    missing: list[Missing],
) -> None:
    from neml2_aoti_plugin.cli.console import command_line, escape, facts, verdict

    console.print(facts(_headline(data, manifest)))
    for part in (_leaves_table(leaves), _variables_table(data), _parameters_table(data)):
        if part is not None:
            console.print(part)
    console.print(_segments_table(data))
    console.print(_derivatives_line(data), soft_wrap=True)
    if missing:
        console.print("\n[bold]could be added[/]")
        for each in missing:
            console.print(f"[yellow]+[/] {escape(each.what)}")
            if each.command:
                command_line(console, each.command)
    console.print()
    for leaf in leaves:
        if leaf.problem:
            verdict(console, False, leaf.problem)
    if data["sound"]:
        verdict(console, True, "every graph is there and fits its metadata and this machine")


def _headline(data: dict[str, Any], manifest: Manifest) -> Iterator[tuple[str, str]]:
    from neml2_aoti_plugin.cli.console import shown_path

    yield "model", data["model"]
    yield "metadata", shown_path(data["metadata"])
    yield "schema", f"{data['schema_version']}, as written by {data['written_by']}"
    if data["lock"]:
        yield "locked", f"{data['lock']['locked']}, digest {data['lock']['digest'][:16]}..."
    if data["stub"]:
        yield "stub", shown_path(data["stub"])
        drivers = [f"{name} ({kind})" for name, kind in data["drivers"].items()]
        yield "drivers", ", ".join(drivers) or "none"
    if manifest.fixed_batch is not None:
        shape = ", ".join("any" if size is None else str(size) for size in manifest.fixed_batch)
        yield "batch", f"({shape}) only"
    elif manifest.argument_ranks:
        yield "batch", "any"


def _leaves_table(leaves: list[LeafReport]) -> Any:
    from neml2_aoti_plugin.cli.console import MARKS, human_bytes, table

    made = table(("device", "dtype", "graphs", "size", "state"), numbers=("graphs", "size"))
    for leaf in leaves:
        state = MARKS["bad"] if leaf.problem else MARKS["ok"]
        made.add_row(leaf.device, leaf.dtype, str(leaf.graphs), human_bytes(leaf.bytes), state)
    return made


def _variables_table(data: dict[str, Any]) -> Any:
    from neml2_aoti_plugin.cli.console import escape, table

    made = table(("variable", "name", "type", "shape of one row"))
    for kind in ("inputs", "outputs"):
        for variable in data[kind]:
            name = variable["name"]
            if variable["authored_name"] != name:
                name += f" (inside: {variable['authored_name']})"
            shape = [*(variable["sub_batch_shape"] or ()), *variable["base_shape"]]
            text = _shape(shape)
            if variable["sub_batch_shape"]:
                text += f", {_shape(variable['sub_batch_shape'])} sites"
            made.add_row(kind[:-1], escape(name), variable["type"], escape(text))
        made.add_section()
    return made


def _parameters_table(data: dict[str, Any]) -> Any:
    from neml2_aoti_plugin.cli.console import escape, table

    if not data["parameters"]:
        return None
    made = table(("parameter", "shape", "value"))
    for parameter in data["parameters"]:
        values = [f"{value:g}" for value in parameter["values"][:VALUES_SHOWN]]
        if len(parameter["values"]) > VALUES_SHOWN:
            values.append("...")
        made.add_row(
            escape(parameter["name"]), escape(_shape(parameter["shape"])), ", ".join(values)
        )
    return made


def _segments_table(data: dict[str, Any]) -> Any:
    from neml2_aoti_plugin.cli.console import escape, human_bytes, table

    made = table(("segment", "what it does", "graph", "size"), numbers=("size",))
    for segment in data["segments"]:
        graphs = segment["graphs"]
        made.add_row(
            escape(f"{segment['kind']}\n{segment['label']}"),
            escape("\n".join(_what_it_does(segment))),
            escape("\n".join(graph["file"] for graph in graphs)),
            "\n".join(
                "[red]missing[/]" if graph["bytes"] is None else human_bytes(graph["bytes"])
                for graph in graphs
            ),
        )
        made.add_section()
    return made


def _what_it_does(segment: dict[str, Any]) -> Iterator[str]:
    if segment["kind"] == "forward":
        yield f"{', '.join(segment['inputs'])} to {', '.join(segment['outputs'])}"
        return
    yield f"solves for {', '.join(segment['outputs'])}"
    yield f"{segment['unknowns_per_row']} unknowns a row, {' + '.join(segment['groups'])}"
    newton = segment["newton"]
    yield (
        f"Newton: atol {newton['absolute_tolerance']:g}, rtol {newton['relative_tolerance']:g}, "
        f"{newton['max_iterations']} iterations"
    )
    if newton["line_search"]:
        yield f"line search: {newton['line_search']}, {newton['line_search_max_iterations']} steps"
    yield f"linear solver: {segment['linear_solver']}"
    if segment["predictor"]:
        yield "starts from a predictor"
    if segment["max_substepping_level"]:
        yield f"up to {2 ** segment['max_substepping_level']} substeps"


def _derivatives_line(data: dict[str, Any]) -> str:
    from neml2_aoti_plugin.cli.console import escape

    pairs = [(output, given) for output, given in data["derivatives"]]
    total = len(data["inputs"]) * len(data["outputs"])
    if not pairs:
        return "[bold]derivatives[/]  none compiled"
    which = "all" if len(pairs) == total else _listed(pairs)
    text = f"[bold]derivatives[/]  {len(pairs)} of {total} pairs: {escape(which)}"
    if data["parameter_derivatives"]:
        by_parameter = [(output, name) for output, name in data["parameter_derivatives"]]
        text += f"\n[bold]by parameters[/]  {escape(_listed(by_parameter))}"
    return text


def _shape(shape: Any) -> str:
    return f"({', '.join(str(extent) for extent in shape)}{',' if len(shape) == 1 else ''})"
