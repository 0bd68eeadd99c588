"""What an input file says about a compiled model.

The file is the stub that ``neml2-compile`` writes, or one that a user wrote in its manner.

Nothing here keeps the parsed file: what comes out is plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from neml2_aoti_plugin.artifact.manifest import NewtonSettings
from neml2_aoti_plugin.artifact.trust import checked_policy
from neml2_aoti_plugin.errors import ArtifactNotFoundError, InputError
from neml2_aoti_plugin.hit_blocks import blocks_of, location, option_names
from neml2_aoti_plugin.on_failure import DEFAULT_FOLDER, checked_action

_Checked = TypeVar("_Checked")

SolverConfig: TypeAlias = dict[str, Any]
"""Keyword arguments of ``set_solver_config``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """One ``[Models]`` block of type ``AOTIModel`` and the call that loads it."""

    place: str
    """File, line and block that name the artifact, for messages."""
    artifact_path: Path
    device: str | None
    """Torch device string; ``None`` where the caller left the choice to torch's default device."""
    dtype: str | None
    solver_config: SolverConfig | None
    """``None`` where the block names no solver."""
    declared_names: tuple[str, ...]
    """Variables whose batch shape ``[Settings]/[example_batch_shape]`` declares."""
    chain_rule: bool
    """Whether the model is to take the host's tangents."""
    on_failure: str
    """What a call does when a solve fails: a word for ``set_on_failure``."""
    failure_folder: str
    lock: str | None
    """A word of :class:`~neml2_aoti_plugin.artifact.trust.LockPolicy`; ``None`` where the block
    has none."""


def read_stub(node: Any, factory: Any) -> Stub:
    """Read the block ``node`` of the file that ``factory`` holds.

    Raises :class:`InputError` unless there is one of ``artifact_path`` and ``meta``, and for a
    solver that is none; :class:`ArtifactNotFoundError` where an absolute path leads nowhere.
    """
    input_file = Path(factory._path)
    solver = node.param_optional_str("solver", "")
    return Stub(
        place=_place(node, input_file, _path_option(node, input_file)),
        artifact_path=find_artifact(node, input_file),
        device=getattr(factory, "_device", None),
        dtype=getattr(factory, "_dtype", None),
        solver_config=_solver_config(node, factory, solver) if solver else None,
        declared_names=_declared_names(factory),
        chain_rule=node.param_optional_bool("chain_rule", False),
        on_failure=_checked(node, input_file, "on_failure", "raise", checked_action),
        failure_folder=node.param_optional_str("failure_folder", DEFAULT_FOLDER),
        lock=_checked(node, input_file, "lock", "", _lock_word),
    )


def _checked(
    node: Any, input_file: Path, option: str, default: str, check: Callable[[str], _Checked]
) -> _Checked:
    """What ``check`` makes of an option; its refusal says where the option stands."""
    try:
        return check(node.param_optional_str(option, default))
    except InputError as error:
        raise InputError(f"{_place(node, input_file, option)}: {error}") from None


def _lock_word(word: str) -> str | None:
    return checked_policy(word).value if word else None


_PATH_OPTIONS = ("artifact_path", "meta")
"""The folder of the artifact or, up to 3.0.3, its metadata file."""


def find_artifact(node: Any, input_file: Path) -> Path:
    """Where the artifact of the block ``node`` is; raises as :func:`read_stub`."""
    option = _path_option(node, input_file)
    path = Path(node.param_str(option))
    folder = input_file.parent.resolve()
    if not path.is_absolute():
        return folder / path
    if path.exists():
        return path
    # Releases up to 3.0.6 write absolute paths; a stub moved with its artifact is to find it still.
    moved = folder / path.name
    if moved.exists():
        return moved
    raise ArtifactNotFoundError(
        f"{_place(node, input_file, option)}: no metadata.json: {option} is '{path}', and "
        f"neither that nor '{moved}' exists. Correct {option}, or put the compiled "
        "artifact beside the input file."
    )


def _path_option(node: Any, input_file: Path) -> str:
    """The one option that names the artifact."""
    given = [key for key in _PATH_OPTIONS if node.param_optional_str(key, "")]
    if not given:
        raise InputError(
            f"{_place(node, input_file)} has no 'artifact_path'; expected the folder that "
            "neml2-compile wrote, absolute or relative to the input file. Add the option."
        )
    if len(given) > 1:
        raise InputError(
            f"{_place(node, input_file, 'meta')} has both 'artifact_path' and 'meta'; expected "
            "one of them. Remove 'meta', which neml2 3.0.3 and earlier write in place of "
            "'artifact_path'."
        )
    return given[0]


def _place(node: Any, input_file: Path, option: str | None = None) -> str:
    """Where a message points to: a block of ``[Models]``, or the line of an option in it."""
    line = None if option is None else node.find(option)
    return f"{location(line or node, input_file)}: [Models/{node.path()}]"


def _declared_names(factory: Any) -> tuple[str, ...]:
    settings = getattr(factory, "settings", None)
    declared: Mapping[str, Any] = getattr(settings, "example_batch_shape", None) or {}
    return tuple(name for name in declared if name != "*")


_NEWTON = NewtonSettings()
_DEFAULT_CONFIG: SolverConfig = {
    "atol": _NEWTON.absolute_tolerance,
    "rtol": _NEWTON.relative_tolerance,
    "miters": _NEWTON.max_iterations,
    "ls_type": _NEWTON.line_search.value,
    "ls_max_iters": _NEWTON.line_search_max_iterations,
    "ls_cutback": _NEWTON.line_search_cutback,
    "ls_c": _NEWTON.line_search_constant,
}

# Defaults of max_linesearch_iterations by solver type: only the second searches.
_LINE_SEARCH_ITERATIONS = {"Newton": 1, "NewtonWithLineSearch": 10}

# Option of a [Solvers] block -> (argument of set_solver_config, reader of the node).
_SOLVER_OPTIONS = {
    "abs_tol": ("atol", "param_float"),
    "rel_tol": ("rtol", "param_float"),
    "max_its": ("miters", "param_int"),
    "substep_del_tol": ("substep_del_tol", "param_float"),
    "linesearch_type": ("ls_type", "param_str"),
    "max_linesearch_iterations": ("ls_max_iters", "param_int"),
    "linesearch_cutback": ("ls_cutback", "param_float"),
    "linesearch_stopping_criteria": ("ls_c", "param_float"),
}

# Options that say nothing about the compiled solve.
_OTHER_OPTIONS = {"type", "linear_solver", "check_negative_criterion", "verbose"}


def _solver_config(node: Any, factory: Any, name: str) -> SolverConfig:
    try:
        solver = factory.get_solver(name)
    except ValueError:
        block = blocks_of(factory._root, "Solvers").get(name)
        if block is None or not _is_outdated(block):
            raise
        return _read_solver_block(block)
    if not hasattr(solver, "_solver_config"):
        raise InputError(
            f"{_place(node, Path(factory._path), 'solver')}: [Solvers/{name}] is a "
            f"{type(solver).__name__}, which solves no nonlinear system; expected one of "
            f"{', '.join(_LINE_SEARCH_ITERATIONS)}. Name such a block as the solver of the model."
        )
    config: Mapping[str, Any] = solver._solver_config()
    known = {*_DEFAULT_CONFIG, "substep_del_tol"}
    return _DEFAULT_CONFIG | {key: value for key, value in config.items() if key in known}


def _is_outdated(block: Any) -> bool:
    """Whether only 'verbose', an option of 3.0.5 and 3.0.6, can have made the host refuse it."""
    fields = set(option_names(block))
    return (
        "verbose" in fields
        and fields <= _SOLVER_OPTIONS.keys() | _OTHER_OPTIONS
        and block.param_str("type") in _LINE_SEARCH_ITERATIONS
    )


def _read_solver_block(block: Any) -> SolverConfig:
    config = dict(_DEFAULT_CONFIG)
    config["ls_max_iters"] = _LINE_SEARCH_ITERATIONS[block.param_str("type")]
    for option, (argument, reader) in _SOLVER_OPTIONS.items():
        if block.find(option) is not None:
            config[argument] = getattr(block, reader)(option)
    return config
