"""The page in a real browser: no error, no request, and every control does what it says."""

import shutil

import pandas as pd
import pytest
from scipy import stats
from tests.analysis.planted import planted
from tests.report.conftest import FEW
from tests.report.folders import ENCODERS, fill
from tests.report.planted_folder import add_runs, fill_planted

from vireo.report import write_report

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium")
EVIL = '<img src=x onerror="document.title=1">$x$'


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        try:  # without the machine's own, Playwright's; a container's shared memory is small
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
        except sync_api.Error as error:
            pytest.skip(f"no Chromium that starts: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="module", autouse=True)
def few_analyses():
    known = {name: f"vireo.analysis.{name}:{name}" for name in FEW}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vireo.report.questions.ANALYSES", known)
        yield


def similarities():
    lines = [
        {"first": first, "second": second, "first_block": f"b{i}", "second_block": f"b{j}"}
        | {"first_index": i, "second_index": j, "estimator": "biased", "n": 9}
        | {"value": (2 * i + j) / 10}
        for first, second in ((ENCODERS[1], ENCODERS[1]), (ENCODERS[1], ENCODERS[2]))
        for i in range(2)
        for j in range(2)
    ]
    return pd.DataFrame(lines)


@pytest.fixture(scope="module")
def address(tmp_path_factory, few_analyses):
    root = fill(tmp_path_factory.mktemp("browser") / "study", (*ENCODERS[:3], EVIL))
    add_runs(root, ENCODERS[1:3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vireo.report.content.embedded_similarities", _made_similarities())
        return write_report(root, root / "report.html").as_uri()


def _made_similarities():
    from vireo.report.alike import embedded_similarities

    return lambda _: embedded_similarities(similarities())


@pytest.fixture(scope="module")
def large(tmp_path_factory, few_analyses):
    root = tmp_path_factory.mktemp("large") / "study"
    fill_planted(root, planted(30, 21), galleries=False)
    return write_report(root, root / "report.html").as_uri()


@pytest.fixture
def seen():
    return {"errors": [], "requests": []}


def opened(browser, address, seen, **options):
    context = browser.new_context(reduced_motion="reduce", **options)  # no smooth scrolling
    page = context.new_page()
    page.on("console", lambda message: seen["errors"].append(message.text))
    page.on("pageerror", lambda error: seen["errors"].append(str(error)))
    page.on("request", lambda sent: seen["requests"].append(sent.url))
    page.goto(address)
    return page


@pytest.fixture
def page(browser, address, seen):
    page = opened(browser, address, seen, viewport={"width": 1280, "height": 900})
    yield page
    assert seen["errors"] == []
    fetched = [url for url in seen["requests"] if not url.startswith(("data:", "blob:"))]
    assert fetched == [address]
    assert page.title() == "test study: vireo report"
    page.context.close()


def seek(page, selector):
    """Scroll to a plot and wait until all of it is drawn."""
    page.locator(selector).scroll_into_view_if_needed()
    page.wait_for_selector(f"{selector} .main-svg .xtitle", state="attached")


def column(page, table, number):
    cells = page.locator(f"{table} tbody tr:visible td:nth-of-type({number})")
    return [cell.get_attribute("data-value") for cell in cells.all()]


def names(page, table):
    return page.locator(f"{table} tbody tr:visible th .name").all_text_contents()


def test_a_heading_sorts_its_table_both_ways_by_mouse_and_by_key(page):
    before = names(page, "#score-table")
    button = page.locator("#score-table thead button").nth(1)
    button.click()
    values = [float(value) for value in column(page, "#score-table", 1)]
    assert values == sorted(values, reverse=True)
    button.focus()
    page.keyboard.press("Enter")
    values = [float(value) for value in column(page, "#score-table", 1)]
    assert values == sorted(values)
    assert page.locator("#score-table th[aria-sort=ascending]").count() == 1
    page.locator("#score-table thead button").first.click()
    assert names(page, "#score-table") == sorted(before, key=str.lower)
    assert page.locator("#score-table th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_the_best_mean_rank_comes_first(page):
    page.locator("#board thead button").nth(1).click()
    ranks = [float(value) for value in column(page, "#board", 1)]
    assert ranks == sorted(ranks)
    assert page.locator("#board th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_missing_values_are_last_and_infinite_ones_are_numbers(page):
    details = page.locator("#q-ranking details.data")
    details.locator("summary").click()
    button, cells = details.locator("thead button").nth(1), details.locator("tbody td:nth-child(2)")
    texts = ["9", "\N{EN DASH}", "\N{INFINITY}", "10"]
    cells.evaluate_all("(all, texts) => all.forEach((c, i) => c.textContent = texts[i])", texts)
    button.click()
    assert cells.all_text_contents() == ["\N{INFINITY}", "10", "9", "\N{EN DASH}"]
    button.click()
    assert cells.all_text_contents() == ["9", "10", "\N{INFINITY}", "\N{EN DASH}"]


def test_means_say_their_interval_to_the_keyboard(page):
    cells = page.locator("#board td.strip")
    assert cells.evaluate_all("all => all.filter((one) => one.tabIndex === 0).length") == 1
    cells.first.focus()
    page.keyboard.press("ArrowDown")
    focused = page.locator("#board td.strip:focus")
    assert page.locator("#tip").text_content() == focused.get_attribute("data-tip")
    assert focused.get_attribute("data-tip") != cells.first.get_attribute("data-tip")
    assert focused.get_attribute("aria-describedby") == "tip"


def test_paper_is_white_and_the_screen_stays_as_it_was(page):
    page.locator("#theme").click()
    page.locator("#theme").click()
    theme = "document.documentElement.dataset.theme"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(theme) == "light"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(theme) == "dark"


def test_filters_leave_encoders_out_of_tables_and_plots(page):
    assert len(names(page, "#board")) == 4
    page.fill("#find", "SWAV")
    assert names(page, "#board") == names(page, "#score-table") == ["swav-digits"]
    assert page.locator("#found").text_content() == "1 of 4 encoders"
    page.fill("#find", "")
    page.select_option("#method", "random")
    assert names(page, "#score-table") == ["random-resnet20"]
    seek(page, "#scatter")
    assert page.locator("#scatter .scatterlayer .point").count() == 1
    page.select_option("#method", "")
    page.wait_for_function("document.querySelectorAll('#scatter .scatterlayer .point').length == 4")


def test_a_family_shows_its_tasks_only(page):
    page.select_option("#family", label="semantic, pixel")
    shown = page.locator("#score-table thead tr:last-child th:visible small").all_text_contents()
    assert shown == ["mIoU, %", "0 floor, 1 perfect"]
    page.select_option("#family", label="all")
    assert page.locator("#score-table thead tr:last-child th:visible").count() == 6


def test_hovering_says_what_a_mark_is(page):
    assert page.locator("#tip").is_hidden()
    page.locator("#score-table td.score").first.hover()
    text = page.locator("#tip").text_content()
    assert text.startswith("random-resnet20 on digits: ")
    assert " % (" in text
    page.locator("#heat td[data-all]").nth(1).hover()
    assert page.locator("#tip").text_content().startswith("digits, rooms-count: ")
    page.locator("#tables details:has(figure) summary").first.click()
    mark = page.locator("#tables figure svg [data-tip]").nth(1)
    mark.hover(force=True)
    assert page.locator("#tip").text_content() == mark.get_attribute("data-tip")
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_arrows_move_between_scores_and_enter_shows_their_origin(page):
    cells = page.locator("#score-table td.score button")
    assert cells.evaluate_all("all => all.filter((one) => one.tabIndex === 0).length") == 1
    cells.first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    assert page.locator("#origin-title").text_content() == "random-resnet20 on rooms-count"
    text = page.locator("#origin").text_content()
    assert "Seed 0" in text
    assert "Seed 1" in text
    assert "torch 2.14.1" in text
    page.keyboard.press("Escape")
    assert page.locator("#origin").is_hidden()


def test_a_folded_table_opens_sorts_finds_and_is_saved(page):
    details = page.locator("#q-ranking details.data")
    assert details.locator("table").count() == 0
    details.locator("summary").click()
    details.locator("tbody tr").first.wait_for()
    assert details.locator("tbody tr").count() == 4
    assert EVIL in details.locator("tbody").text_content()
    details.locator("thead button").nth(1).click()
    with page.expect_download() as download:
        details.get_by_role("button", name="Save as CSV").click()
    saved = pd.read_csv(download.value.path())
    assert len(saved) == 4
    assert EVIL in set(saved["encoder"])


def test_the_scatter_follows_its_selects_and_says_the_correlation(page):
    seek(page, "#scatter")
    assert page.locator("#scatter .xtitle").text_content() == "digits (top-1, %)"
    page.select_option("#x-task", label="rooms-count")
    assert page.locator("#scatter .xtitle").text_content() == "rooms-count (top-1, %)"
    assert EVIL[:19] in "".join(page.locator("#scatter text").all_text_contents())
    points = page.evaluate("JSON.parse(document.getElementById('data').textContent).points")
    x, y = ([point[0] for point in points[task]] for task in (1, 3))
    said = page.locator("#pair").text_content()
    shown = [f"{stats.pearsonr(x, y)[0]:.2f}", f"{stats.spearmanr(x, y)[0]:.2f}"]
    assert [word.replace("-", "\N{MINUS SIGN}") for word in shown] == [
        part.split(" ")[0].rstrip(",") for part in said.split(" = ")[1:]
    ]


def test_the_heat_map_changes_its_coefficient(page):
    cells = page.locator("#heat td[data-all]")
    before = cells.all_text_contents()
    page.select_option("#coefficient", label="Spearman (ranks)")
    after = cells.all_text_contents()
    assert before != after
    expected = [cell.get_attribute("data-all").split()[1] for cell in cells.all()]
    assert [float(text.replace("\N{MINUS SIGN}", "-")) for text in after] == pytest.approx(
        [float(text) for text in expected], abs=0.0051
    )


def test_maps_and_curves_are_drawn_and_a_turned_map_is_turned(page):
    seek(page, "#map")
    read = "document.getElementById('map').data[0].z"
    page.select_option("#first", ENCODERS[1])
    page.select_option("#second", ENCODERS[2])
    assert page.evaluate(read) == [[0, 0.1], [0.2, 0.3]]
    page.select_option("#first", ENCODERS[2])
    page.select_option("#second", ENCODERS[1])
    assert page.evaluate(read) == [[0, 0.2], [0.1, 0.3]]
    page.select_option("#second", ENCODERS[2])
    assert "not computed" in page.locator("#map").text_content()
    seek(page, "#learning")
    assert page.locator("#learning .scatterlayer .trace").count() == 2
    page.select_option("#measure", "knn")
    assert page.locator("#learning .ytitle").text_content() == "kNN accuracy, share"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_until_a_theme_is_chosen(browser, address, seen, scheme):
    page = opened(browser, address, seen, color_scheme=scheme)
    dark, light = "rgb(20, 23, 26)", "rgb(253, 253, 251)"
    seek(page, "#scatter")

    def colours():
        body = page.evaluate("getComputedStyle(document.body).backgroundColor")
        plot = "document.querySelector('#scatter .main-svg')"
        return body, page.evaluate(f"getComputedStyle({plot}).backgroundColor")

    assert colours() == ((dark, dark) if scheme == "dark" else (light, light))
    page.locator("#theme").click()
    assert colours() == (light, light)
    page.locator("#theme").click()
    assert colours() == (dark, dark)
    assert seen["errors"] == []
    page.context.close()


def test_text_and_lines_can_be_told_from_the_paper_in_both_themes(browser, address, seen):
    """Contrast by WCAG 2.2: 4.5 for text, 3 for marks of figures."""
    for scheme in ("light", "dark"):
        page = opened(browser, address, seen, color_scheme=scheme)
        for name, least in (("ink", 7), ("soft", 4.5), ("accent", 4.5), ("wrong", 4.5)):
            assert contrast(page, name) >= least, (scheme, name)
        for number in range(1, 9):
            assert contrast(page, f"series-{number}") >= 3, (scheme, number)
        page.context.close()


def contrast(page, name):
    read = """name => ['--paper', `--${name}`].map((one) => {
      document.body.style.color = `var(${one})`;
      return getComputedStyle(document.body).color.match(/\\d+/g).map(Number);
    })"""
    light, dark = sorted((luminance(c) for c in page.evaluate(read, name)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("which", ["address", "large"])
def test_a_phone_does_not_scroll_sideways(browser, seen, request, which):
    address = request.getfixturevalue(which)
    page = opened(browser, address, seen, viewport={"width": 390, "height": 844}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    size = "one => parseFloat(getComputedStyle(one).fontSize)"
    for kind in ("#answers p", "#board th", "#board small", "#score-table td", ".caption"):
        assert page.locator(kind).first.evaluate(size) >= 11
    page.context.close()


def test_thirty_encoders_on_twenty_one_tasks_open_without_the_plots(browser, large, seen):
    page = opened(browser, large, seen, viewport={"width": 1440, "height": 900})
    assert page.locator("#score-table td.score").count() == 630
    assert page.evaluate("typeof Plotly") == "undefined"  # 5 MB that nobody has asked for yet
    assert page.locator("details.data table").count() == 0
    assert page.evaluate("document.getElementsByTagName('*').length") < 25_000
    seek(page, "#scatter")
    assert page.locator("#scatter .scatterlayer .point").count() == 30
    assert seen["errors"] == []
    page.context.close()


def test_a_short_head_of_a_gallery_stands_on_one_line(page):
    lines = """one => {
      const range = document.createRange();
      range.selectNodeContents(one);
      return range.getClientRects().length;
    }"""
    heads = page.locator("table.gallery.small th", has_text="truth")
    assert heads.first.evaluate(lines) == 1
