"""A study as one HTML file that works offline: no external request, nothing to install.

The page's content security policy forbids every request and every script but the two whose hashes
it names, so a name that holds markup could do nothing even if it were not escaped.
"""

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from vireo import __version__
from vireo.analysis import read_study
from vireo.files import write_bytes
from vireo.report.content import collect
from vireo.report.words import TURNERS, number

SCRIPTS = ("basics.js", "tables.js", "plots.js", "start.js")


def write_report(study_dir: Path, out: Path, *, protocol: str = "") -> Path:
    """Write the report of the study (or probe) in `study_dir` to the HTML file `out`.

    Args:
        study_dir: a folder with results.
        out: the page.
        protocol: of the rows it is about, where the folder has several.

    Raises:
        StoreError: no results there.
        SettingError: the results are empty or cannot be compared.
    """
    content = collect(read_study(study_dir, protocol=protocol), study_dir)
    write_bytes(out, render(content).encode())
    return out


def render(content: dict[str, Any]) -> str:
    """Return the page for the variables that `collect` gives; every text is escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value.translate(TURNERS) if type(value) is str else value,
    )
    environment.filters["signed"] = lambda value: number(value, 2)
    plotly, script = get_plotlyjs(), _script()
    page: str = environment.get_template("page.html.j2").render(
        **content,
        version=__version__,
        policy=_policy(plotly, script),
        style=_trusted(_asset("style.css")),
        plotly=_trusted(plotly),
        script=_trusted(script),
    )
    return page


def _script() -> str:
    """Return the page's own script: its files share one scope that nothing else sees."""
    parts = "\n".join(_asset(name) for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _policy(*scripts: str) -> str:
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (resources.files("vireo.report") / "templates" / name).read_text(encoding="utf-8")


def _trusted(text: str) -> Markup:
    """Mark a text that vireo or plotly ships as safe; never one that a person or file gave."""
    return Markup(text)
