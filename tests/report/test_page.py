"""The page: complete, self-contained, and no name can inject anything."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.report.folders import ENCODERS, TASKS, fill

from vireo.analysis import ANALYSES
from vireo.errors import SettingError, StoreError
from vireo.files import read_json, write_json
from vireo.report import write_report
from vireo.report.content import embedded

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
EVIL_TASK = "</script><b>\"'&amp;"


class Outline(HTMLParser):
    """Collects what a browser would see: tags, attributes, text of scripts and the rest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._inside = [], [], ""
        self.raw = {"script": [], "style": []}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in self.raw:
            self._inside = tag
            self.raw[tag].append("")

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data):
        if self._inside:
            self.raw[self._inside][-1] += data
        else:
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def light(monkeypatch, few):
    """Leave the 5 MB of plotly and most analyses out where a test does not look at them."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "/* plotly */")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = fill(tmp_path_factory.mktemp("page") / "study")
    return Outline(write_report(root, root / "report.html").read_text())


def test_every_encoder_task_and_analysis_is_there(page):
    text = " ".join(page.text)
    for name in (*ENCODERS, *TASKS, "floor", "baseline", "torch 2.14.1", "360"):
        assert name in text
    assert text.count("supervised-digits") > 3
    tables = [a["data-table"] for a in page.all("details") if "data-table" in a]
    refused = text.count("that these results cannot answer")
    assert refused == 1
    assert (
        {"scores", "normalised", "ranking", "correlation"}
        <= set(tables)
        <= {
            *ANALYSES,
            "costs-0",
            "costs-1",
        }
    )
    data = json.loads(page.raw["script"][0])
    assert set(data["tables"]) == set(tables)


def test_the_verdicts_stand_first_and_again_with_their_figures(page):
    ids = [attrs["id"] for tag, attrs in page.tags if tag == "section" and "id" in attrs]
    assert ids[:3] == ["answers", "leaderboard", "scores"]
    questions = [name for name in ids if name.startswith("q-")]
    assert questions
    links = [attrs["href"] for attrs in page.all("a")]
    assert all(links.count(f"#{name}") == 2 for name in questions)  # the list, and the contents
    assert len(page.all("svg")) >= len(questions) - 1  # correlations are a table
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in page.all("svg"))


def test_no_two_elements_share_an_id_and_labels_have_their_controls(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    inside = [attrs["href"][1:] for attrs in page.all("a")]
    assert set(inside) <= set(ids)
    for attrs in page.all("output"):
        assert set(attrs["for"].split()) <= set(ids)


def test_nothing_is_fetched(page):
    addresses = [
        attrs.get(key) for _, attrs in page.tags for key in ("src", "href") if key in attrs
    ]
    assert any(address.startswith("data:") for address in addresses)
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert not page.all("link")
    (style,) = page.raw["style"]
    assert "url(" not in style
    assert "@import" not in style


def test_only_the_two_scripts_of_the_policy_may_run(page):
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.endswith("; base-uri 'none'; form-action 'none'")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    kinds = [attrs.get("type") for attrs in page.all("script")]
    assert kinds == ["application/json", "text/plain", None]
    found = page.raw["script"][1:]
    assert len(found[0]) > 1e6
    digests = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in found}
    assert digests == allowed


def test_the_best_score_of_each_task_is_marked(page):
    best = [attrs for attrs in page.all("td") if "best" in attrs.get("class", "").split()]
    assert len(best) == len(TASKS)


def test_pictures_have_alternative_texts_and_headers_a_scope(page):
    pictures = page.all("img")
    assert len(pictures) == 2 * 4 * 1 + 2 * 4 * (2 + len(ENCODERS))
    assert all(attrs["alt"] for attrs in pictures)
    assert all(attrs.get("scope") in ("col", "row", "colgroup") for attrs in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]
    assert any(attrs.get("name") == "viewport" for attrs in page.all("meta"))


def test_the_drawn_numbers_are_the_scores(page):
    data = json.loads(page.raw["script"][0])
    assert [encoder["name"] for encoder in data["encoders"]] == list(ENCODERS)
    assert [encoder["baseline"] for encoder in data["encoders"]] == [True, False, False, False]
    assert data["points"][0][1][0] == pytest.approx(45, abs=3)
    score, low, high = data["points"][0][0]
    assert 30 < score < 40  # a share, drawn in percent
    assert low < score < high
    assert -1.4 < data["points"][3][0][0] < -1.0  # metres stay metres


def test_the_heat_map_holds_the_correlations_of_the_scores(page):
    data = json.loads(page.raw["script"][0])
    trained = [[point[0] for point in points[1:]] for points in data["points"]]  # not the random
    values = [attrs["data-all"].split() for attrs in page.all("td") if "data-all" in attrs]
    assert len(values) == 16
    expected = np.corrcoef(trained).ravel()
    assert np.allclose([float(both[0]) for both in values], expected, atol=1e-3)
    ranks = [float(stats.spearmanr(a, b)[0]) for a in trained for b in trained]
    assert np.allclose([float(both[1]) for both in values], ranks, atol=1e-3)


def test_every_score_says_where_it_comes_from(page):
    origins = json.loads(page.raw["script"][0])["origins"]
    for encoder in ENCODERS:
        assert set(origins["lines"][encoder]) == set(TASKS)
    rows = origins["lines"][ENCODERS[1]]["digits"]
    assert [row[1] for row in rows] == [0, 1]
    assert origins["texts"][rows[0][8]] == "torch 2.14.1, python 3.11.2"
    scores = [row[2] for row in rows]
    data = json.loads(page.raw["script"][0])
    assert 100 * sum(scores) / 2 == pytest.approx(data["points"][0][1][0], rel=1e-4)


def test_names_are_text_and_nothing_else(tmp_path, light):
    root = fill(
        tmp_path / "s", encoders=(EVIL, "b", "c"), tasks=(EVIL_TASK, "digits"), baseline="b"
    )
    clean = fill(tmp_path / "t", encoders=("a", "b", "c"), tasks=("d", "digits"), baseline="b")
    evil = Outline(write_report(root, root / "r.html").read_text())
    plain = Outline(write_report(clean, clean / "r.html").read_text())
    drawn = {"svg", "g", "path", "use", "text", "tspan", "defs", "clippath", "rect"}
    outlines = [
        [(tag, set(attrs)) for tag, attrs in page.tags if tag not in drawn]
        for page in (evil, plain)
    ]
    assert outlines[0] == outlines[1]
    assert not any(name.startswith("on") for _, attrs in evil.tags for name in attrs)
    assert EVIL in "".join(evil.text)
    assert EVIL_TASK in "".join(evil.text)
    data = json.loads(evil.raw["script"][0])
    assert data["encoders"][0]["name"] == EVIL
    assert data["tasks"][0]["name"] == EVIL_TASK


def test_a_name_cannot_turn_the_text_after_it(tmp_path, light):
    root = fill(tmp_path / "s", encoders=("\u202egnp.exe", "b", "c"), baseline="b")
    text = (write_report(root, root / "r.html")).read_text()
    assert "\u202e" not in text
    assert "\\u202e" not in text
    assert "\ufffdgnp.exe" in text


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "&lt;", "\u2028"])
def test_embedded_json_cannot_leave_its_element(text):
    found = str(embedded({"name": text}))
    assert not set(found) & set("<>&\u2028")
    assert json.loads(found) == {"name": text}


def test_galleries_name_classes_and_say_what_was_asked(tmp_path, light):
    root = fill(tmp_path / "s")
    names = {"digits": [f"digit {EVIL} {n}" for n in range(10)], "rooms-foreground": ["back", "it"]}
    write_json(root / "classes.json", names)
    plan = read_json(root / "plan.json")
    write_json(root / "plan.json", plan | {"tasks": [{"name": "digits", "summary": "which one?"}]})
    page = Outline(write_report(root, root / "r.html").read_text())
    text = " ".join(page.text)
    assert text.count(f"digit {EVIL}") == 4 * (1 + len(ENCODERS))
    assert "which one?" in text
    swatches = [a["style"] for a in page.all("span") if a.get("class") == "swatch"]
    assert swatches == ["background: #26364d", "background: #e69f00"]  # 255 is no class
    assert "back" in page.text
    assert text.count("Class codes.") == 1  # of rooms-count, whose codes have no names
    write_json(root / "classes.json", {"digits": "0123456789"})
    with pytest.raises(StoreError, match="does not name classes"):
        write_report(root, root / "r.html")


@pytest.mark.parametrize(
    ("name", "value"), [("cells.json", {"a": 1}), ("cells.json", [{}]), ("plan.json", {})]
)
def test_a_folder_with_foreign_files_is_refused(tmp_path, name, value):
    root = fill(tmp_path / "s")
    write_json(root / name, value)
    with pytest.raises(StoreError, match=r"not as a study leaves them; run it again"):
        write_report(root, root / "r.html")


def test_an_incomplete_study_still_has_a_page_that_says_so(tmp_path, light):
    root = fill(tmp_path / "s", skip={("swav-digits", "digits")})
    page = Outline(write_report(root, root / "r.html").read_text())
    text = " ".join(page.text)
    assert "Missing: swav-digits x digits" in text
    empty = sum(attrs.get("data-value") == "" for attrs in page.all("td"))
    assert empty == 2 + 3  # cell and mean skill; rank and two means of the leaderboard


def test_one_encoder_makes_a_page_without_correlations(tmp_path, light):
    root = fill(tmp_path / "s", encoders=("alone",), baseline="")
    page = Outline(write_report(root, root / "r.html").read_text())
    assert "alone" in page.text
    assert not any("correlation" in attrs["aria-label"] for attrs in page.all("svg"))
    assert "".join(page.text).count("1 encoder on 4 tasks") == 1
    assert not any(attrs.get("id") == "coefficient" for attrs in page.all("select"))


def test_a_folder_without_a_plan_gives_its_name(tmp_path, light, monkeypatch):
    root = fill(tmp_path / "mine", encoders=("alone",))
    (root / "cells.json").unlink()
    monkeypatch.chdir(root)
    assert "<title>mine: " in write_report(Path(), Path("r.html")).read_text()


def test_an_old_plans_rows_are_left_out(tmp_path, light):
    fill(tmp_path / "s", encoders=("old", "b"))
    root = fill(tmp_path / "s", encoders=("b", "c"))
    text = (write_report(root, root / "r.html")).read_text()
    assert ">old" not in text


def test_a_folder_without_results_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match=r"holds no results; run a study or a probe"):
        write_report(tmp_path, tmp_path / "r.html")


def test_no_finished_cell_says_so(tmp_path, light):
    everything = {(encoder, task) for encoder in ENCODERS for task in TASKS}
    root = fill(tmp_path / "s", skip=everything)
    (root / "results").mkdir()
    with pytest.raises(SettingError, match="no rows yet"):
        write_report(root, root / "r.html")
