"""One pure function per schema version: dictionary of version N to the next released version.

The canonical dictionary is schema 14 with these keys added, for what older versions have and 14
cannot say. All are optional; a file of version 14 has none of them.

top level
    ``device``, ``dtype``: the one leaf that the file describes (before 12).
master inputs and outputs
    ``base_shape`` may be null: the file has only the type, and it is unknown (before 7).
implicit segment
    ``fused_solve``: true where one graph linearizes and solves. The graphs are then
    ``step_package`` (du, b), ``ift_package`` (du/dg per pair) and ``param_ift_package``
    (du/dparameter per pair) instead of operator and solve graphs.

    ``step_returns_iterate``: true where ``step_package`` returns u + du and the residual there
    instead of (du, b) (version 2).

    ``cell_sensitivity``: true where ``ift_package`` returns one matrix per pair of an unknown and a
    given group, as ``ift_cells`` lists them, instead of one block per pair of variables (versions 2
    and 3).

    ``initial_guess``: ``"zero"`` or ``"state"`` (the default), for unknowns that no predictor sets.

    ``atol``, ``rtol``, ``miters`` and, for a line search, ``linesearch``: Newton settings of this
    segment, which stand before ``solver_config`` (versions 2 and 3).
forward segment
    ``stacked_jacobian``: true where ``jvp_package`` returns one matrix for all outputs by all
    inputs instead of one block per pair (version 2). The entries of ``inputs`` and ``outputs`` then
    have types and shapes, and there are no ``jacobian_pairs``.

    ``stored_parameters``: true where graphs take parameters at their stored shape instead of one
    value per row, and in the order of tracing, which may mix them with the inputs (versions 2 and
    3). Only the graph files tell that order.
``solver_config``
    ``substep_del_tol`` may be infinite: no test of the update's size.

Upgrades move and fill in; they check nothing. What has not the expected type passes through
unchanged, for the reader to complain about with its place in the file.
"""
