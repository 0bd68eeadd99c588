"""The command ``neml2-aoti``: see, check, run and make compiled models from a terminal.

``program`` parses and dispatches; there is one module per sub-command, each with ``HELP``,
``configure`` (its arguments) and ``run`` (an :class:`~neml2_aoti_plugin.cli.outcome.Outcome`).
``host`` is the only one that knows neml2, ``console`` and ``figures`` the only ones that draw.
"""
