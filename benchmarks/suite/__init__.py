"""Measures the plugin against neml2's own runtime; ``README.md`` says how to read the results."""
