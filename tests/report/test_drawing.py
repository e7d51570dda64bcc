"""Drawings: every kind draws, marks lie where the data say, and no name becomes markup."""

from typing import get_args
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from vireo.analysis import Figure
from vireo.analysis.finding import Kind
from vireo.report.drawing import KINDS, draw, inline_svg, save
from vireo.report.drawing.parts import groups, short

EVIL = "<img src=x onerror=alert(1)>$x_{\x00\x1b\u202e&\"'"
NAMES = ["plain", EVIL, "日本語", "a" * 200]


def figure(kind, names=("a", "b", "c", "d"), **more):
    value = np.array([0.4, -0.2, 0.7, 0.1])
    data = {
        "bars": {"label": names, "value": value, "low": value - 0.1, "high": value + 0.2},
        "intervals": {"label": names, "value": value, "low": value - 0.1, "high": value + 0.2},
        "scatter": {"x": value, "y": -value, "label": names},
        "heatmap": {"row": [*names[:2]] * 2, "column": np.repeat(names[2:], 2), "value": value},
        "lines": {"x": [1, 2, 1, 2], "y": value, "group": [names[0]] * 2 + [names[1]] * 2},
        "critical-difference": {
            "label": names,
            "rank": [1.5, 2.0, 2.5, 4.0],
            "cliques": ["0", "0 1", "1", ""],
            "difference": 1.2,
        },
        "box": {"label": [names[0]] * 2 + [names[1]] * 2, "value": value, "point": names},
    }[kind]
    facts = {"title": names[1], "x": names[1], "y": "", "data": pd.DataFrame(data)}
    return Figure(kind=kind, **(facts | more))


@pytest.fixture(params=sorted(KINDS))
def kind(request):
    return request.param


def test_every_kind_of_the_analyses_can_be_drawn():
    assert set(KINDS) == set(get_args(Kind))


def test_a_hostile_name_stays_text(kind):
    svg = inline_svg(draw(figure(kind, NAMES)), EVIL.replace("\x00", "").replace("\x1b", ""))
    root = ET.fromstring(svg)
    known = {"svg", "g", "path", "use", "text", "tspan", "defs", "clipPath", "rect"}
    assert {element.tag for element in root.iter()} <= known
    assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)
    assert "<img" not in svg
    assert "\u202e" not in "".join(root.itertext())


def test_ids_of_two_figures_differ_and_are_all_used():
    first = inline_svg(draw(figure("scatter")), "one")
    second = inline_svg(draw(figure("scatter")), "two")
    ids = [{e.get("id") for e in ET.fromstring(s).iter()} - {None} for s in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert all(f"#{name}" in first for name in ids[0])


def test_colours_are_those_of_the_page(kind):
    svg = inline_svg(draw(figure(kind)), "title")
    styles = [e.get("style", "") for e in ET.fromstring(svg).iter()]
    assert any("var(--" in style for style in styles)
    assert not any("#" in style.replace("url(#", "") for style in styles)


def test_every_mark_says_on_hover_what_it_is():
    hints = {
        kind: [
            element.get("data-tip")
            for element in ET.fromstring(inline_svg(draw(figure(kind)), "t")).iter()
            if element.get("data-tip")
        ]
        for kind in ("bars", "intervals", "scatter", "heatmap", "box")
    }
    assert hints["bars"] == ["a: 0.4", "b: -0.2", "c: 0.7", "d: 0.1"]
    assert hints["intervals"][1] == "b: -0.2 (-0.3 to 0)"
    assert hints["scatter"][2] == "c: 0.7, -0.7"
    assert hints["heatmap"][0] == "a, c: 0.4"
    assert hints["box"] == ["a: 0.4", "b: -0.2", "c: 0.7", "d: 0.1"]


def test_bars_are_as_long_as_their_values_and_the_first_is_on_top():
    axes = draw(figure("bars")).axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.4, -0.2, 0.7, 0.1])
    low, high = axes.get_ylim()
    assert low > high
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c", "d"]


def test_error_bars_end_at_the_bounds():
    axes = draw(figure("intervals")).axes[0]
    (segments,) = (c.get_segments() for c in axes.collections if hasattr(c, "get_segments"))
    ends = [(segment[0][0], segment[1][0]) for segment in segments]
    expected = [(0.3, 0.6), (-0.3, 0.0), (0.6, 0.9), (0.0, 0.3)]
    assert np.allclose(ends, expected)


def test_groups_share_a_line_only_where_a_label_stands_twice():
    once = figure("intervals")
    twice = pd.concat([once.data.assign(group="g"), once.data.assign(group="h")])
    apart = figure("intervals", data=once.data.assign(group=["g", "g", "h", "h"]))

    def heights(drawing):
        axes = drawing.axes[0]
        return [y for c in axes.collections for _, y in np.asarray(c.get_offsets()) if y]

    assert all(float(y).is_integer() for y in heights(draw(apart)))
    assert not any(float(y).is_integer() for y in heights(draw(figure("intervals", data=twice))))


def test_an_unknown_value_has_no_mark():
    data = figure("heatmap").data
    data.loc[0, "value"] = np.nan
    svg = inline_svg(draw(figure("heatmap", data=data)), "t")
    assert svg.count("data-tip") == 3


def test_shades_say_sign_and_size():
    from vireo.report.drawing.heatmap import DEEPEST, _shades

    shades = _shades(np.array([-1.0, 0.0, 0.5, 1.0]), (-1.0, 1.0))
    assert shades[0, 0] > shades[0, 2]  # red below
    assert shades[3, 2] > shades[3, 0]  # blue above
    assert shades[1, 3] < shades[2, 3] < shades[3, 3] == pytest.approx(DEEPEST)


def test_a_bar_joins_the_ranks_of_a_clique():
    from vireo.report.drawing.critical_difference import _cliques

    assert _cliques(figure("critical-difference").data) == [(1.5, 2.0), (2.0, 2.5)]


def test_a_map_of_things_with_themselves_has_one_order_and_a_key():
    pairs = [("a", "b", 1.0), ("b", "a", -1.0), ("b", "c", 3.0), ("c", "a", 0.0)]
    data = pd.DataFrame(pairs, columns=["row", "column", "value"])
    drawing = draw(figure("heatmap", data=data, value="tasks won", limits=(-4.0, 4.0)))
    (axes,) = drawing.axes
    across, down = (
        [t.get_text() for t in side] for side in (axes.get_xticklabels(), axes.get_yticklabels())
    )
    assert across == down == ["a", "b", "c"]
    texts = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert texts == ["\N{MINUS SIGN}4.00", "0.00", "4.00  tasks won"]


def test_the_bar_of_a_critical_difference_is_not_cut():
    data = figure("critical-difference").data.assign(difference=9.0)
    axes = draw(figure("critical-difference", data=data)).axes[0]
    assert axes.get_xlim()[1] > 1 + 9.0


def test_families_have_one_colour_in_all_figures():
    families = ["structural-pixel", "semantic-image", "other"]
    assert groups(pd.DataFrame({"group": families})) == [families[1], families[0], families[2]]


def test_one_panel_keeps_its_name_and_small_ones_name_no_points():
    one = figure("scatter", data=figure("scatter").data.assign(panel="cost, GPU hours"))
    (axes,) = draw(one).axes
    assert axes.get_title(loc="left") == "cost, GPU hours"
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c", "d"]
    names = [letter * 300 for letter in "WXYZ"]
    parts = [figure("scatter").data.assign(panel=name) for name in names]
    drawing = draw(figure("scatter", data=pd.concat(parts)))
    assert not any(axes.texts for axes in drawing.axes)


def test_small_multiples_are_named_and_their_words_written_once():
    data = pd.DataFrame({"x": [1.0, 2.0] * 3, "y": 1.0, "label": "e", "panel": list("aabbcc")})
    drawing = draw(Figure(kind="scatter", title="t", x="across", y="up", data=data))
    assert [axes.get_title(loc="left") for axes in drawing.axes] == ["a", "b", "c"]
    assert [axes.get_xlabel() for axes in drawing.axes] == [""] * 3
    assert drawing.get_supxlabel() == "across"


@pytest.mark.parametrize("kind", ["intervals", "heatmap"], indirect=True)
def test_files_are_the_same_twice(kind, tmp_path):
    first, second = (draw(figure(kind, NAMES)) for _ in range(2))
    for ending, start in (("svg", b"<?xml"), ("pdf", b"%PDF-")):
        files = [
            save(drawing, tmp_path / f"{number}.{ending}").read_bytes()
            for number, drawing in enumerate((first, second))
        ]
        assert files[0] == files[1]
        assert files[0].startswith(start)


@pytest.mark.parametrize("name", ["a", "b" * 500, "x\ny\x00", ""])
def test_a_short_name_is_printable_and_fits(name):
    text = short(name, 20)
    assert len(text) <= 20
    assert text.isprintable()
    assert text == name or len(name) > 20 or not name.isprintable()
