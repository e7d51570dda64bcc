"""A drawing as SVG inside the page: real text, colours of the page's style, hints on hover.

The SVG is parsed and written anew, so that nothing matplotlib adds (metadata, rules for the whole
page, names that two figures share) comes along, and every text is escaped by the writer.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vireo.report.drawing.palette import VARIABLES
from vireo.report.drawing.parts import TIPS

if TYPE_CHECKING:
    import matplotlib.figure

_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_USELESS = {"metadata", "style"}
_MARKS = {"use", "path"}
_HEX = re.compile(r"#[0-9a-f]{6}\b")


def inline_svg(drawing: "matplotlib.figure.Figure", label: str) -> str:
    """Return `drawing` as an `<svg>` element for HTML.

    Args:
        drawing: from `draw`.
        label: what a reader who cannot see it is told.
    """
    root = ET.fromstring(_svg(drawing, salt=_salt(label)))
    _clean(root)
    for group in root.iter("g"):
        _hints(group)
    used = {text for element in root.iter() for text in _references(element)}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
    width = float(root.attrib.pop("width").removesuffix("pt")) * 4 / 3
    root.attrib.pop("height")
    root.attrib.pop("version")
    root.attrib |= {"role": "img", "aria-label": label, "style": f"max-width: {width:.0f}px"}
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _svg(drawing: "matplotlib.figure.Figure", salt: str) -> bytes:
    import warnings

    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    for patch in (drawing.patch, *(axes.patch for axes in drawing.axes)):
        patch.set_visible(False)
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # savefig would draw twice: once to lay out, which `draw` has done
        canvas = FigureCanvasSVG(drawing)
        canvas.print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _salt(label: str) -> str:
    return hashlib.sha256(label.encode()).hexdigest()


def _clean(root: ET.Element) -> None:
    """Drop namespaces and what is useless, in place; colours become variables of the style."""
    for element in list(root.iter()):
        element.tag = element.tag.removeprefix(_SVG)
        for child in list(element):
            if child.tag.removeprefix(_SVG) in _USELESS:
                element.remove(child)
        if (link := element.attrib.pop(_LINK, None)) is not None:
            element.set("href", link)
        if "style" in element.attrib:
            element.set("style", _themed(element.attrib["style"]))


def _themed(style: str) -> str:
    """Name the colours of a style; fonts are the page's.

    Example:
        >>> _themed("fill: #1c1f22; stroke: #123456")
        'fill: var(--ink); stroke: #123456'
    """
    named = _HEX.sub(lambda found: _variable(found.group()), style)
    return re.sub(r"font: (?:(\w+) )?([0-9.]+px) [^;]+", r"font-size: \2", named)


def _variable(colour: str) -> str:
    return f"var({VARIABLES[colour]})" if colour in VARIABLES else colour


def _hints(group: ET.Element) -> None:
    """Hand the hints that an artist carries in its name to its marks, in their order."""
    name = group.get("id", "")
    if not name.startswith(TIPS):
        return
    texts = json.loads(bytes.fromhex(name.removeprefix(TIPS)))
    marks = list(_marks(group))
    if len(marks) == len(texts):
        for mark, text in zip(marks, texts, strict=True):
            mark.set("data-tip", text)


def _marks(element: ET.Element) -> Iterator[ET.Element]:
    for child in element:
        if child.tag in _MARKS:
            yield child
        elif child.tag != "defs":
            yield from _marks(child)


def _references(element: ET.Element) -> Iterator[str]:
    for name, value in element.attrib.items():
        if name == "href":
            yield value.removeprefix("#")
        else:
            yield from re.findall(r"url\(#([^)]+)\)", value)
