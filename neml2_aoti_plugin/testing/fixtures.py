"""Compiled models for tests, from the cache that the run is configured with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from neml2_aoti_plugin.testing import input_file
from neml2_aoti_plugin.testing.compiling import (
    ArtifactCache,
    CompiledArtifact,
    Request,
    named_files,
    resolved,
)

if TYPE_CHECKING:
    from neml2_aoti_plugin.testing.collection import DriverItem

_CACHE = pytest.StashKey[ArtifactCache]()


def compile_for(item: DriverItem) -> CompiledArtifact:
    """The compiled model of a test of an input file."""
    derivatives: tuple[str, ...] = ()
    options = (*item.config.getini("neml2_compile_args"), *item.file.directives.compile_options)
    if item.driver_type == input_file.UNIT_TEST and not {"-d", "--derivative"} & {*options}:
        derivatives = ("-d", ":")  # it compares all of them
    return _cache(item.config).get(
        _request(
            item.config,
            item.file,
            model=item.model or "",
            driver=item.compiled_by,
            options=(*options, *derivatives),
            device=item.device,
            dtype=item.dtype,
        )
    )


class ArtifactFactory:
    """Compiles models for tests; call it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def __call__(
        self,
        path: str | Path,
        *,
        model: str | None = None,
        driver: str | None = None,
        derivatives: Iterable[str] = (),
        parameters: Iterable[str] = (),
        options: Iterable[str] = (),
        device: str | None = None,
        dtype: str | None = None,
    ) -> CompiledArtifact:
        """Compile a model of the input file ``path``, or take it from the cache.

        ``path`` and files in ``options`` are relative to pytest's root folder. Either ``model``
        names a block of ``[Models]``, or ``driver`` one of ``[Drivers]`` that names it; the stub
        then keeps the drivers. ``derivatives``: ``OUT:IN`` pairs; ``parameters``: those to promote;
        ``options``: further words for neml2-compile; ``device`` and ``dtype``: by default those of
        ``--neml2-device`` and ``--neml2-dtype``.

        Raises CompileError with the end of the compiler's log, ValueError for a name that the file
        does not hold.
        """
        file = input_file.read(self._config.rootpath / path)
        words = (
            *self._config.getini("neml2_compile_args"),
            *(word for pair in derivatives for word in ("-d", pair)),
            *(word for name in parameters for word in ("-p", name)),
            *options,
        )
        return _cache(self._config).get(
            _request(
                self._config,
                file,
                model=_model(file, model, driver),
                driver=driver,
                options=words,
                device=device or str(self._config.getoption("neml2_device")),
                dtype=dtype or str(self._config.getoption("neml2_dtype")),
            )
        )


def _model(file: input_file.InputFile, model: str | None, driver: str | None) -> str:
    if (model is None) == (driver is None):
        raise ValueError(f"{file.path}: give either model= or driver=")
    if model is not None:
        return model
    if driver not in file.driven:
        listed = ", ".join(file.driven) or "none"
        raise ValueError(
            f"{file.path}: '{driver}' is no driver that names a model; these are: {listed}."
        )
    return file.driven[driver]


def _request(
    config: pytest.Config,
    file: input_file.InputFile,
    *,
    model: str,
    driver: str | None,
    options: tuple[str, ...],
    device: str,
    dtype: str,
) -> Request:
    words = resolved(options, config.rootpath)
    return Request(
        input_file=file.path,
        content=(*file.content, *named_files(words)),
        model=model,
        driver=driver,
        options=words,
        device=device,
        dtype=dtype,
    )


def _cache(config: pytest.Config) -> ArtifactCache:
    if _CACHE not in config.stash:
        config.stash[_CACHE] = ArtifactCache(_cache_folder(config))
    return config.stash[_CACHE]


def _cache_folder(config: pytest.Config) -> Path:
    named = config.getini("neml2_cache")
    if named:
        return config.rootpath / str(named)
    if config.cache is None:  # -p no:cacheprovider
        raise pytest.UsageError(
            "compiled models are kept in pytest's cache, which is switched off; set neml2_cache to "
            "a folder for them."
        )
    return Path(config.cache.mkdir("neml2"))
