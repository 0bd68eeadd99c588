"""Compiles the example inputs with the installed ``neml2-compile``, once per content.

Run as a program, it compiles all that is missing; ``--jobs 2`` compiles two at a time,
``--without-catalogue`` leaves out the cases that are there for their physics.

An entry of the cache is a folder that can be run as it stands: artifact, stub and golds side by
side. Its name carries a hash of everything that shapes the artifact: input file, options, neml2,
torch and the processor. An entry counts only once its record is written, which is the last thing
done to it; so an interrupted compile is repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

from neml2_aoti_plugin.testing.compiling import locked, processor

PROJECT = Path(__file__).resolve().parent.parent
INPUTS = PROJECT / "inputs"
CACHE_VARIABLE = "NEML2_AOTI_TEST_CACHE"
TORCH_VARIABLE = "NEML2_AOTI_TEST_COMPILED_WITH"
LOG_LINES_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to ask of ``neml2-compile``."""

    target: tuple[str, str] = ("--driver", "driver")
    """Driver whose model is compiled, with a stub that keeps all drivers; or a model."""
    derivatives: tuple[str, ...] = ()
    """``OUT:IN`` pairs; ``:`` is all of them."""
    parameters: tuple[str, ...] = ()
    """Qualified names of parameters to promote."""
    dtype: str = "float64"
    overrides: tuple[str, ...] = ()
    """Values to replace in the input file, as ``Section/block/option:=value``."""
    example_batch_shapes: tuple[str, ...] = ()
    """Shapes to trace with, as ``(batch; sub-batch)`` for all inputs or ``NAME=(...)`` for one."""
    dynamic_batch: bool = True
    writer: str | None = None
    """The neml2 release that compiles, if not the installed one."""
    kernel_threads: int = 1
    """How many threads the kernels are generated for; one makes them serial, to be run side by
    side, and independent of the number of cores here."""

    def options(self, device: str) -> tuple[str, ...]:
        # The first releases know no drivers; their stubs keep all of them.
        without = self.writer in _WITHOUT_DRIVERS
        return (
            *(("--model", "model") if without else self.target),
            *(word for shape in self.example_batch_shapes for word in (_SHAPE_OPTION, shape)),
            *(() if self.dynamic_batch else ("--no-dynamic-batch",)),
            "--device",
            device,
            "--dtype",
            self.dtype,
            *(word for pair in self.derivatives for word in ("-d", pair)),
            *(word for name in self.parameters for word in ("-p", name)),
            *self.overrides,
        )


_SHAPE_OPTION = "--example-batch-shape"
_WITHOUT_DRIVERS = ("3.0.0",)

# The tolerances that single precision can reach.
_FLOAT32_NEWTON = ("Solvers/newton/abs_tol:=1e-4", "Solvers/newton/rel_tol:=1e-5")

# Traces the parameter of the eigenstrain between the two inputs of the first segment.
_EIGENSTRAIN_FIRST = (
    "Models/model/models:='eigenstrain strain mechanical_strain return_map "
    "elastic_strain elasticity von_mises_stress stress_trace'"
)

# Too few iterations for a full increment, enough for its parts. The native model refuses substeps,
# so its input file has none.
_SUBSTEPS = ("Models/model/max_substepping_level:=4", "Solvers/newton/max_its:=7")

_ELASTICITY_PROMOTED = Recipe(derivatives=(":", "stress:model.E"), parameters=("model.E",))

# One parameter of a forward segment, and one of the implicit segment behind it.
_COMPOSED_PROMOTED = Recipe(
    derivatives=(
        "stress:displacement_gradient",
        "stress:temperature",
        "stress:eigenstrain.alpha",
        "stress:return_map.residual.yield_function.sy",
    ),
    parameters=("eigenstrain.alpha", "return_map.residual.yield_function.sy"),
)

_CHABOCHE_PARAMETERS = ("residual.X1_evolution.C", "residual.yield_function.sy")

# All of them take long to compile, and releases up to 3.0.3 are tested with all.
_SOME_OF_CHABOCHE = Recipe(
    derivatives=("stress:strain", "stress:X1~1", "X2:strain", "equivalent_plastic_strain:t")
)

_VALUES_ONLY = (
    "advection",
    "chaboche_4",
    "chaboche_6",
    "cohesive_bilinear",
    "cohesive_exponential",
    "creep_annealing",
    "cubic_elasticity",
    "decoupled_crystal",
    "finite_strain_crystal",
    "hardening_recovery",
    "infiltration",
    "isotropic_hardening",
    "kinematic_hardening",
    "kocks_mecking",
    "krylov_creep",
    "krylov_polymer",
    "mixed_control",
    "phase_field",
    "porous_flow",
    "porous_plasticity",
    "precipitation",
    "predicted_flow",
    "predicted_slip",
    "pyrolysis",
    "radial_return",
    "single_crystal",
    "stress_controlled_polycrystal",
    "tabulated",
    "viscoelasticity",
    "viscous_interface",
)
"""Cases compiled without derivatives, which is quick, and with one regression each."""

RECIPES = MappingProxyType(
    {
        ("elasticity", "default"): Recipe(derivatives=(":",)),
        ("elasticity", "values_only"): Recipe(),
        ("elasticity", "float32"): Recipe(derivatives=(":",), dtype="float32"),
        ("elasticity", "promoted"): _ELASTICITY_PROMOTED,
        ("elasticity", "two_promoted"): Recipe(parameters=("model.E", "model.nu")),
        ("chaboche", "default"): Recipe(derivatives=(":",)),
        ("chaboche", "values_only"): Recipe(),
        # Too few iterations for some of its steps.
        ("chaboche", "hard"): Recipe(overrides=("Solvers/newton/max_its:=16",)),
        ("chaboche", "float32"): Recipe(
            derivatives=(":",), dtype="float32", overrides=_FLOAT32_NEWTON
        ),
        ("chaboche", "promoted"): Recipe(
            derivatives=(
                ":",
                *(f":{name}" for name in _CHABOCHE_PARAMETERS),
            ),
            parameters=_CHABOCHE_PARAMETERS,
        ),
        ("composed", "default"): Recipe(derivatives=(":",)),
        # Derivatives through sub-batched unknowns cannot be compiled.
        ("crystal", "default"): Recipe(),
        ("rate_independent", "default"): Recipe(derivatives=(":",)),
        ("composed", "promoted"): _COMPOSED_PROMOTED,
        ("rate_independent", "schema7"): Recipe(derivatives=(":",), writer="3.0.6"),
        ("rate_independent", "schema12"): Recipe(derivatives=(":",), writer="3.0.7"),
        **{
            (case, variant): replace(recipe, writer=writer)
            for variant, writer in (("schema7", "3.0.6"), ("schema12", "3.0.7"))
            for case, recipe in (
                ("elasticity", _ELASTICITY_PROMOTED),
                ("chaboche", _SOME_OF_CHABOCHE),
                ("composed", _COMPOSED_PROMOTED),
            )
        },
        # Up to 3.0.3 all derivatives are compiled and none can be asked for.
        ("elasticity", "schema2"): Recipe(parameters=("E",), writer="3.0.0"),
        ("elasticity", "schema2_baked"): Recipe(writer="3.0.0"),
        ("elasticity", "schema3"): Recipe(parameters=("E",), writer="3.0.3"),
        # 3.0.0 returns only what no other model of the composition reads, unless it is asked to.
        ("rate_independent", "schema2"): Recipe(
            overrides=(
                "Models/model/additional_outputs:="
                "'plastic_strain equivalent_plastic_strain flow_rate'",
            ),
            writer="3.0.0",
        ),
        ("rate_independent", "schema3"): Recipe(writer="3.0.3"),
        ("chaboche", "schema2"): Recipe(writer="3.0.0"),
        ("chaboche", "schema3"): Recipe(writer="3.0.3"),
        # 3.0.0 cannot compile an output that an input of its segment does not reach.
        ("composed", "schema2"): Recipe(
            parameters=("eigenstrain.alpha",),
            overrides=(
                _EIGENSTRAIN_FIRST,
                "Models/model/additional_outputs:='plastic_strain stress'",
            ),
            writer="3.0.0",
        ),
        ("composed", "schema3"): Recipe(
            parameters=("eigenstrain.alpha",), overrides=(_EIGENSTRAIN_FIRST,), writer="3.0.3"
        ),
        ("elasticity", "static"): Recipe(
            derivatives=(":",), example_batch_shapes=("(5,)",), dynamic_batch=False
        ),
        ("rate_independent", "static"): Recipe(
            derivatives=(":",), example_batch_shapes=("(5,)",), dynamic_batch=False
        ),
        ("elasticity", "two_axes"): Recipe(derivatives=(":",), example_batch_shapes=("(4, 3)",)),
        ("large_increments", "default"): Recipe(overrides=_SUBSTEPS),
        **{(case, "default"): Recipe() for case in _VALUES_ONLY},
    }
)
CASES = tuple(dict.fromkeys(case for case, _ in RECIPES))

CATALOGUE = (*_VALUES_ONLY, "large_increments")
"""Cases that are there for their physics, not for what they ask of a runtime."""

FEATURES = PROJECT / "tests" / "model" / "inputs"
"""Small models that are compiled in several ways, each for one thing a runtime must do."""

_YIELD_STRESS = "update.residual.yield_surface.sy"
_MODULUS = "update.residual.elasticity.E"
_PROMOTED = Recipe(
    target=("--model", "model"),
    derivatives=(
        ":",
        *(f"{out}:{name}" for out in ("stress", "plastic_strain") for name in (_YIELD_STRESS,)),
        f"stress:{_MODULUS}",
    ),
    parameters=(_YIELD_STRESS, _MODULUS),
)

_TWO_GROUPS = Recipe(
    target=("--model", "model"),
    derivatives=("load:total",),
    example_batch_shapes=("site=(2;3)", "share=(2;3)"),
)

_SITES = Recipe(target=("--model", "model"), derivatives=(":",))

FEATURE_RECIPES = MappingProxyType(
    {
        ("perzyna", "promoted"): _PROMOTED,
        ("perzyna", "substepped"): replace(
            _PROMOTED, overrides=("Models/update/max_substepping_level:=5",)
        ),
        ("perzyna", "gmres"): Recipe(
            target=("--model", "model"),
            derivatives=(":",),
            overrides=("Solvers/newton/linear_solver:=gmres",),
        ),
        ("perzyna", "gmres_schema12"): Recipe(
            target=("--model", "model"),
            derivatives=("stress:strain",),
            overrides=("Solvers/newton/linear_solver:=gmres",),
            writer="3.0.7",
        ),
        ("perzyna", "substepped_schema12"): replace(
            _PROMOTED,
            derivatives=("stress:strain", f"stress:{_YIELD_STRESS}"),
            overrides=("Models/update/max_substepping_level:=5",),
            writer="3.0.7",
        ),
        ("sites", "default"): _SITES,
        ("sites", "schema7"): replace(_SITES, writer="3.0.6"),
        ("sites", "schema12"): replace(_SITES, writer="3.0.7"),
        ("sites", "schema3"): Recipe(target=("--model", "model"), writer="3.0.3"),
        # No release compiles derivatives of, or by, what is solved for at every site.
        ("two_groups", "default"): _TWO_GROUPS,
        ("two_groups", "schema12"): replace(_TWO_GROUPS, writer="3.0.7"),
        ("two_groups", "schema7"): replace(_TWO_GROUPS, writer="3.0.6"),
        ("two_groups", "schema3"): replace(_TWO_GROUPS, derivatives=(), writer="3.0.3"),
        # Later releases write the settings of the first solve for all.
        ("two_updates", "schema3"): Recipe(target=("--model", "model"), writer="3.0.3"),
        ("perzyna", "bicgstab"): Recipe(
            target=("--model", "model"), overrides=("Solvers/newton/linear_solver:=bicgstab",)
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledCase:
    """A compiled example: where its parts are and what was asked for."""

    name: str
    variant: str
    folder: Path
    """Holds all of it; can be copied elsewhere."""
    root: Path
    """The artifact root: ``metadata.json`` and one folder per device and dtype (neml2 >= 3.0.7),
    one folder per device, or (neml2 <= 3.0.3) all files."""
    metadata: Path
    stub: Path
    """Input file with the same drivers on the compiled model."""
    model_file: Path
    """The native input file."""
    derivatives: tuple[str, ...]
    parameters: tuple[str, ...]
    dtype: str
    device: str
    compile_seconds: float


class CompileError(RuntimeError):
    """``neml2-compile`` failed; the message holds the end of its log."""


def compiled(
    case: str, *, variant: str = "default", device: str = "cpu", neml2: str | None = None
) -> CompiledCase:
    """The compiled example ``case``, compiled now if it is not in the cache.

    ``device`` is a device family (``cpu``, ``cuda``). ``neml2`` states which version the caller
    counts on; another one installed is a ``RuntimeError``.
    """
    if (case, variant) not in RECIPES:
        known = ", ".join("/".join(key) for key in RECIPES)
        raise ValueError(f"no recipe for {case}/{variant}; there are {known}")
    installed = metadata.version("neml2")
    if neml2 not in (None, installed):
        raise RuntimeError(f"neml2 {neml2} is asked for and {installed} is installed")
    return compile_input(
        input_file(case),
        RECIPES[case, variant],
        name=case,
        variant=variant,
        device=device,
    )


def compiled_feature(case: str, variant: str) -> CompiledCase:
    """One of the small models of :data:`FEATURES`, compiled now if it is not in the cache."""
    return compile_input(
        input_file(case), FEATURE_RECIPES[case, variant], name=case, variant=variant
    )


_CRYSTAL_PREDICTOR = "CrystalPlasticityDeformationGradientPredictor"

_NEW = MappingProxyType(
    {
        "[Settings]": "settings.py",
        "max_substepping_level": "solvers/gmres.py",
        "GMRES": "solvers/gmres.py",
        "BiCGStab": "solvers/bicgstab.py",
        "MinMapComplementarity": "models/common/MinMapComplementarity.py",
        "CoordinateDescentPredictor": "models/common/CoordinateDescentPredictor.py",
        _CRYSTAL_PREDICTOR: f"models/solid_mechanics/crystal_plasticity/{_CRYSTAL_PREDICTOR}.py",
        # Names for variables that are called after others unless they are named.
        " variable_rate =": "settings.py",
        " isotropic_hardening_rate =": "settings.py",
        " kelvin_voigt_strain_rate =": "settings.py",
    }
)
"""Words of an input file that a neml2 without a certain module, of the same release, refuses."""


def obstacle(case: str) -> str | None:
    """Why the installed neml2 cannot load the input ``case`` at all, if it cannot."""
    file = input_file(case)
    text = file.read_text()
    for word, module in _NEW.items():
        if word in text and not _has_module(module):
            place = file.relative_to(PROJECT)
            return (
                f"{place} needs {word.strip(' =')}, which neml2 {metadata.version('neml2')} lacks"
            )
    return None


def input_file(case: str) -> Path:
    """An example, or one of the small models of :data:`FEATURES`."""
    feature = FEATURES / f"{case}.i"
    return feature if feature.exists() else INPUTS / case / "model.i"


def _has_module(path: str) -> bool:
    package = importlib.util.find_spec("neml2")  # found, not imported
    assert package is not None
    assert package.origin is not None
    return (Path(package.origin).parent / path).is_file()


def compile_input(
    model_file: Path,
    recipe: Recipe,
    *,
    name: str,
    variant: str = "default",
    device: str = "cpu",
    cache: Path | None = None,
) -> CompiledCase:
    """Compile what ``recipe`` says of ``model_file``, or take it from the cache.

    ``name`` and ``variant`` label the entry; golds in ``gold/`` beside ``model_file`` are copied
    into it.
    """
    cache = cache or cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    options = recipe.options(device)
    writer = recipe.writer or metadata.version("neml2")
    torch = compiler_torch()
    threads = recipe.kernel_threads
    key = _key(model_file, options, writer, torch, threads)
    folder = cache / f"{name}-{variant}-{device}-{key[:16]}"
    with locked(folder.with_suffix(".lock")):
        record = folder / "record.json"
        if not record.exists():
            if torch != metadata.version("torch"):
                raise CompileError(
                    f"{cache} holds no {name}/{variant} of torch {torch}, which {TORCH_VARIABLE} "
                    f"asks for; compile it there first, or unset {TORCH_VARIABLE}"
                )
            _compile(model_file, options, folder, record, writer, threads)
        _bring_golds(model_file.parent / "gold", folder / "gold")
    return _describe(folder, record, model_file, recipe, name, variant, device)


def cache_folder() -> Path:
    """``.cache/artifacts`` of the project, or what the environment names."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).resolve() if named else PROJECT / ".cache" / "artifacts"


def compiler_torch() -> str:
    """The torch whose artifacts are used: the installed one, or what the environment names.

    Another one compiles nothing here: its artifacts have to be in the cache already.
    """
    return os.environ.get(TORCH_VARIABLE) or metadata.version("torch")


def _key(model_file: Path, options: tuple[str, ...], writer: str, torch: str, threads: int) -> str:
    digest = hashlib.sha256()
    for path in _with_included(model_file):
        digest.update(f"{path.name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    environment = (writer, torch, processor(), *((threads,) if threads != 1 else ()))
    digest.update(repr((options, environment)).encode())
    return digest.hexdigest()


def _with_included(input_file: Path) -> Iterator[Path]:
    yield input_file
    for line in input_file.read_text().splitlines():
        if line.startswith("!include"):
            yield from _with_included(input_file.parent / line.removeprefix("!include").strip())


def _compile(
    model_file: Path,
    options: tuple[str, ...],
    folder: Path,
    record: Path,
    writer: str,
    threads: int,
) -> None:
    # Compiled in place, not moved there: stubs of neml2 <= 3.0.6 hold absolute paths.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [
        str(Path(sys.executable).with_name("neml2-compile")),
        str(model_file),
        "--output-dir",
        str(folder),
        *options,
    ]
    log = folder / "compile.log"
    start = time.perf_counter()
    with log.open("w") as output:
        code = subprocess.run(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_compiler_environment(folder.parent, writer, threads),
            check=False,
        ).returncode
    if code != 0 or not list(folder.glob("*_aoti.i")):
        raise CompileError(_failure(command, code, log))
    _write_record(record, command, writer, time.perf_counter() - start)


def _compiler_environment(cache: Path, writer: str, threads: int) -> dict[str, str]:
    is_installed = writer == metadata.version("neml2")
    path = {} if is_installed else {"PYTHONPATH": str(_release(cache, writer))}
    # The compiler needs no runtime. It generates kernels for the number of threads that it has.
    return (
        os.environ
        | path
        | {
            "NEML2_AOTI_PLUGIN": "0",
            "OMP_NUM_THREADS": str(threads),
            "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
        }
    )


def _release(cache: Path, version: str) -> Path:
    """A folder with that release of neml2 alone, to be put before the installed one."""
    folder = cache / "releases" / f"neml2-{version}"
    with locked(cache / "releases.lock"):
        if folder.is_dir():
            return folder
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(partial)]
        command += [f"neml2=={version}", f"pyzag=={_PYZAG_OF[version]}"]
        install = subprocess.run(command, capture_output=True, text=True, check=False)
        if install.returncode != 0:
            raise CompileError(
                f"{' '.join(command)}\nexited with {install.returncode}:\n{install.stderr}"
            )
        partial.rename(folder)
    return folder


_PYZAG_OF = MappingProxyType(
    {"3.0.0": "1.1.1", "3.0.3": "1.1.1", "3.0.6": "1.1.3", "3.0.7": "1.1.4"}
)
"""What each release pins."""


def _bring_golds(source: Path, target: Path) -> None:
    for gold in source.glob("*.pt"):
        copy = target / gold.name
        if not copy.exists() or copy.read_bytes() != gold.read_bytes():
            target.mkdir(exist_ok=True)
            partial = copy.with_suffix(".partial")
            shutil.copy(gold, partial)
            partial.replace(copy)


def _failure(command: list[str], code: int, log: Path) -> str:
    kept = log.parent.with_suffix(".failed.log")
    shutil.copy(log, kept)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
    return f"{' '.join(command)}\nexited with {code} (whole log: {kept}). It ended:\n{end}"


def _write_record(record: Path, command: list[str], writer: str, seconds: float) -> None:
    facts = {
        "command": command,
        "neml2": writer,
        "torch": metadata.version("torch"),
        "seconds": round(seconds, 1),
    }
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(facts, indent=2) + "\n")
    partial.replace(record)


def _describe(
    folder: Path,
    record: Path,
    model_file: Path,
    recipe: Recipe,
    name: str,
    variant: str,
    device: str,
) -> CompiledCase:
    (stub,) = folder.glob("*_aoti.i")
    root = folder / stub.name.removesuffix("_aoti.i")
    if not root.is_dir():
        root = folder
    (metadata_file,) = [
        *root.glob("metadata.json"),
        *root.glob(f"{device}/*_meta.json"),
        *root.glob("*_meta.json"),
    ]
    return CompiledCase(
        name=name,
        variant=variant,
        folder=folder,
        root=root,
        metadata=metadata_file,
        stub=stub,
        model_file=model_file,
        derivatives=recipe.derivatives,
        parameters=recipe.parameters,
        dtype=recipe.dtype,
        device=device,
        compile_seconds=json.loads(record.read_text())["seconds"],
    )


def main() -> int:
    """Compile every example that is not in the cache yet, and list all."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--jobs", "-j", type=int, default=1, help="how many to compile at a time")
    parser.add_argument(
        "--without-catalogue", action="store_true", help="leave out the cases of the catalogue"
    )
    options = parser.parse_args()
    left_out = CATALOGUE if options.without_catalogue else ()
    entries = [
        *((compiled, *key) for key in RECIPES if key[0] not in left_out),
        *((compiled_feature, *key) for key in FEATURE_RECIPES),
    ]
    failures = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for label, entry in pool.map(_compiled_or_failed, *zip(*entries, strict=True)):
            failures += isinstance(entry, CompileError)
            print(label, entry, sep=": ", flush=True)
    return 1 if failures else 0


def _compiled_or_failed(
    compile_entry: Callable[..., CompiledCase], case: str, variant: str
) -> tuple[str, CompileError | str]:
    try:
        entry = compile_entry(case, variant=variant)
    except CompileError as error:
        return f"{case}/{variant}", error
    return f"{case}/{variant}", f"{entry.root} ({entry.compile_seconds:.0f} s)"


if __name__ == "__main__":
    sys.exit(main())
