"""The errors that a user of this package sees.

::

    RuntimeError
    +-- AOTIError
        +-- ArtifactError                 the files on disk are not what they should be
        |   +-- ArtifactNotFoundError     (also FileNotFoundError) nothing to load there
        |   +-- IntegrityError            not what was locked, or not locked where that is required
        |   +-- UnsupportedSchemaError    written by a release this version does not read
        |   +-- UnsupportedFeatureError   (also NotImplementedError) needs what is not built yet
        +-- LeafRequestError              (also ValueError) no artifact has such a device or dtype
        +-- InputError                    a missing name, a shape, a batch that does not broadcast
        |   +-- InputTypeError            (also TypeError) not a tensor, wrong dtype, wrong device
        +-- DerivativeNotCompiledError    the artifact carries no graph for the derivative asked for
    +-- ConvergenceError                  a solve failed for some rows: recoverable, carries data

``ConvergenceError`` is the class that ``neml2`` itself raises whenever ``neml2`` has one of its own
in this process: see :func:`convergence_error_class`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class AOTIError(RuntimeError):
    """Base of the errors of this package that are not recoverable by a smaller increment."""


class ArtifactError(AOTIError):
    """The artifact on disk is incomplete, damaged, inconsistent or unsafe."""


class ArtifactNotFoundError(ArtifactError, FileNotFoundError):
    """There is no artifact where one was expected."""


class IntegrityError(ArtifactError):
    """A file is not as it was when the artifact was locked, or no lock vouches for it."""


class UnsupportedSchemaError(ArtifactError):
    """The metadata was written in a schema version that this package does not read."""


class UnsupportedFeatureError(ArtifactError, NotImplementedError):
    """The artifact is valid but needs something that this version cannot run."""


class LeafRequestError(AOTIError, ValueError):
    """The device or dtype asked for is none that artifacts are compiled for."""


class InputError(AOTIError):
    """An argument of a call does not fit the model: name, shape, batch or extent."""


class InputTypeError(InputError, TypeError):
    """An argument of a call is no tensor, or one of another dtype or device."""


class DerivativeNotCompiledError(AOTIError):
    """The artifact was compiled without the derivative that was asked for."""


class ConvergenceError(RuntimeError):
    """A nonlinear solve did not converge for at least one row of the batch.

    Recoverable: retry with a smaller increment, another guess or looser settings. Raised by this
    package, an instance always carries

    ``converged_mask``
        bool tensor ``(*batch,)``, true where the row has what was asked for;
    ``status``
        int8 tensor ``(*batch,)``, for each row a :class:`neml2_aoti_plugin.solves.RowStatus`;
    ``iterations``
        int64 tensor ``(*batch,)``, Newton updates of each row, one that failed included;
    ``residual_norms``, ``initial_residual_norms``
        float64 tensors ``(*batch,)`` of ``|r|`` at the last iterate and at the start;
    ``unknowns``
        dictionary of the last iterate, ``(*batch, *sub_batch, *base)`` each.
    """

    converged_mask: torch.Tensor
    status: torch.Tensor
    iterations: torch.Tensor
    residual_norms: torch.Tensor
    initial_residual_norms: torch.Tensor
    unknowns: dict[str, torch.Tensor]


_convergence_error_class: type[RuntimeError] = ConvergenceError


def convergence_error_class() -> type[RuntimeError]:
    """The one class that failed solves raise in this process (ours, or the host's where it came
    first)."""
    return _convergence_error_class


def adopt_convergence_error(host_class: type[RuntimeError]) -> None:
    """Raise the host's class from now on, so that existing ``except`` clauses keep matching."""
    global _convergence_error_class
    _convergence_error_class = host_class
