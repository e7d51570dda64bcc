"""Sphinx configuration: Markdown pages by MyST, the API from docstrings."""

project = "vireo"
author = "The vireo authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_typehints = "none"
suppress_warnings = ["myst.xref_missing"]
