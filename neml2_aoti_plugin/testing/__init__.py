"""The pytest plugin: drivers of neml2 input files as tests, native and compiled.

``_neml2_aoti_plugin_pytest``, beside this package, is what pytest loads; it imports this package
when tests of input files are asked for. docs/pytest.md shows it at work.
"""
