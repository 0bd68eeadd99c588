"""One pure function per schema version: dictionary of version N to the next released version.

The canonical dictionary is schema 14 with these keys added, for what older versions have and 14
cannot say. All are optional; a file of version 14 has none of them.

top level
    ``device``, ``dtype``: the one leaf that the file describes (before 12).
implicit segment
    ``fused_solve``: true where one graph linearizes and solves. The graphs are then
    ``step_package`` (du, b), ``ift_package`` (du/dg per pair) and ``param_ift_package``
    (du/dparameter per pair) instead of operator and solve graphs.

    ``initial_guess``: ``"zero"`` or ``"state"`` (the default), for unknowns that no predictor sets.
``solver_config``
    ``substep_del_tol`` may be infinite: no test of the update's size.

Upgrades move and fill in; they check nothing. What has not the expected type passes through
unchanged, for the reader to complain about with its place in the file.
"""
