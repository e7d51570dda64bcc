"""The page in a real browser: no error, no request, and the controls do what they say."""

import shutil

import pytest
from tests.report.folders import ENCODERS, fill

from vireo.report import write_report

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = fill(tmp_path_factory.mktemp("browser") / "study", (*ENCODERS[:3], "<b>bold</b>"))
    return write_report(root, root / "report.html").as_uri()


@pytest.fixture
def seen():
    return {"errors": [], "requests": []}


@pytest.fixture(params=["light", "dark"])
def page(browser, address, seen, request):
    context = browser.new_context(
        color_scheme=request.param, viewport={"width": 390, "height": 800}
    )
    page = context.new_page()
    page.on("console", lambda message: seen["errors"].append(message.text))
    page.on("pageerror", lambda error: seen["errors"].append(str(error)))
    page.on("request", lambda sent: seen["requests"].append(sent.url))
    page.goto(address)
    page.wait_for_selector("#scatter .point")
    yield page
    context.close()


def test_it_draws_without_an_error_and_asks_nobody(page, seen, address):
    assert page.locator("#correlation .hm").count() == 1
    assert seen["errors"] == []
    fetched = [url for url in seen["requests"] if not url.startswith(("data:", "blob:"))]
    assert fetched == [address]


def test_a_phone_does_not_scroll_sideways(page):
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


def test_the_selects_change_the_plots(page, seen):
    def title():
        return page.locator("#scatter .xtitle").text_content()

    assert title() == "digits (top-1, %)"
    page.select_option("#x-task", label="rooms-count")
    assert title() == "rooms-count (top-1, %)"
    before = page.locator("#correlation .annotation-text").all_text_contents()
    page.select_option("#coefficient", "spearman")
    after = page.locator("#correlation .annotation-text").all_text_contents()
    assert before != after
    assert len(before) == len(after) == 16
    assert seen["errors"] == []


def test_a_name_is_drawn_as_it_is_written(page):
    labels = page.locator("#scatter text").all_text_contents()
    assert "<b>bold</b>" in labels


def test_a_heading_sorts_the_table(page):
    def scores():
        cells = page.locator("#scores tbody tr td:nth-of-type(1)")
        return [float(cell.get_attribute("data-value")) for cell in cells.all()]

    page.locator("#scores thead button").nth(1).click()
    assert scores() == sorted(scores(), reverse=True)
    page.locator("#scores thead button").nth(1).click()
    assert scores() == sorted(scores())
    assert page.locator("#scores th[aria-sort=ascending]").count() == 1


def test_colours_follow_the_readers_choice(page):
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    plot = "document.querySelector('#scatter .main-svg')"
    drawn = page.evaluate(f"getComputedStyle({plot}).backgroundColor")
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (paper == "rgb(20, 23, 26)") == dark
    assert drawn == paper
