"""Input files as pytest sees them: a node for the file, an item for each driver and variant."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from _neml2_aoti_plugin_pytest import GOLD_WRITTEN, VARIANTS, variants
from neml2_aoti_plugin.cli.outcome import UsageError
from neml2_aoti_plugin.errors import AOTIError, convergence_error_class
from neml2_aoti_plugin.testing.failures import CompileError, DifferenceError, InputFileError
from neml2_aoti_plugin.testing.input_file import UNIT_TEST, Case, InputFile, read

NATIVE, COMPILED = VARIANTS
STUB = "stub"


def is_excluded(path: Path, config: pytest.Config) -> bool:
    """Whether the ini option ``neml2_exclude`` names the file."""
    relative = Path(path).relative_to(config.rootpath) if _is_below(path, config) else path
    return any(fnmatch(relative.as_posix(), glob) for glob in config.getini("neml2_exclude"))


def _is_below(path: Path, config: pytest.Config) -> bool:
    return config.rootpath in path.parents


class InputFileNode(pytest.File):
    """An input file."""

    def collect(self) -> Iterator[DriverItem]:
        try:
            file = read(self.path, self.config.getini("neml2_driver_types"))
        except InputFileError as error:
            raise self.CollectError(str(error)) from error
        if file.directives.is_excluded:
            return
        for case in file.cases:
            for variant in self._variants(file):
                if variant == COMPILED and case.compiled_by is None:
                    continue  # nothing to compile is named
                yield DriverItem.from_parent(
                    self, name=f"{case.driver}[{variant}]", file=file, case=case, variant=variant
                )

    def _variants(self, file: InputFile) -> tuple[str, ...]:
        if file.is_stub:
            return (STUB,)
        asked = variants(self.config)
        allowed = file.directives.variants
        return asked if allowed is None else tuple(name for name in asked if name in allowed)


class DriverItem(pytest.Item):
    """A driver, run with the native model, the compiled one, or as the file stands."""

    def __init__(self, *, file: InputFile, case: Case, variant: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.file = file
        self.input_file = file.path
        self.driver = case.driver
        self.driver_type = case.type
        self.model = case.model
        self.compiled_by = case.compiled_by
        """The driver whose model is compiled: itself, or the one that it runs."""
        self.variant = variant
        self.device = str(self.config.getoption("neml2_device"))
        self.dtype = str(self.config.getoption("neml2_dtype"))
        self._case = case
        for marker in ("neml2", variant):
            self.add_marker(marker)

    def runtest(self) -> None:
        from neml2_aoti_plugin.testing import running

        path, replacements = self._to_run()
        what = running.Run(
            path=path,
            driver=self.driver,
            type=self.driver_type,
            replacements=replacements,
            device=self.device,
            dtype=self.dtype,
        )
        if self.variant == NATIVE and self._updates_gold():
            written = running.update_gold(what)
            if written is not None:
                gold, done = written
                self.user_properties.append((GOLD_WRITTEN, f"{self._shown(gold)} ({done})"))
        else:
            running.run(what)

    def _updates_gold(self) -> bool:
        return bool(
            self.config.getoption("update_gold") and self.driver_type == "TransientRegression"
        )

    def _to_run(self) -> tuple[Path, tuple[str, ...]]:
        """The file, and the options to replace in it."""
        if self.variant != COMPILED:
            return self.input_file, ()
        stub: Path = self.ihook.pytest_neml2_artifact(item=self)
        replacements = self.file.replacements
        if self.driver_type == UNIT_TEST:
            root = stub.parent / f"{self.model}"
            block = f"Models/{self.model}"
            replacements += (f"{block}/artifact_path:='{root}'", f"{block}/chain_rule:=true")
        return stub, replacements

    # --- what pytest shows

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._case.line - 1, f"{self._shown(self.path)}: {self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        error = excinfo.value
        heading = f"{self._heading()}: "
        if self.config.getoption("fulltrace"):
            return super().repr_failure(excinfo, style)
        if isinstance(error, (DifferenceError, CompileError, InputFileError)):
            return f"{heading}{_opening(error)}{error}"
        if isinstance(error, (UsageError, AOTIError, convergence_error_class())):
            return f"{heading}{error}"
        excinfo.traceback = excinfo.traceback.cut(path=Path(__file__).with_name("running.py"))
        return f"{heading}{type(error).__name__}: {error}\n\n{super().repr_failure(excinfo, style)}"

    def _heading(self) -> str:
        return f"{self._case.place}: [Drivers/{self.driver}], {self.variant}"

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self.config.rootpath) if _is_below(path, self.config) else path)


def _opening(error: Exception) -> str:
    return "neml2-compile failed\n" if isinstance(error, CompileError) else ""
