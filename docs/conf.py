"""How the pages of this folder become a site: ``make docs``.

Nothing is fetched while it builds, and the result needs no network either.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "neml2-aoti-plugin"
release = metadata.version("neml2-aoti-plugin")
version = release
author = "the authors of neml2-aoti-plugin"
copyright = "MIT licence"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # equations without a network
    "sphinx_copybutton",
    "marked_blocks",
    "short_types",
]
exclude_patterns = ["_build"]

# --- Markdown

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

# --- API, as the docstrings tell it

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 80
python_display_short_literal_types = True

# --- pages

html_theme = "shibuya"  # as the documentation of neml2
html_title = f"neml2-aoti-plugin {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "accent_color": "teal",
    "color_mode": "light",
    "globaltoc_expand_depth": 1,
}

# Prompts and output stay behind when a block is copied.
copybutton_prompt_text = r"^\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"
