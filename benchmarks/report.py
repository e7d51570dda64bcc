"""The report of a whole study: how long it takes to write, and to open.

What: 30 encoders x 21 tasks (the planted table of tests/analysis), with galleries; the page with
    all its questions is written, then opened in headless Chromium, which has nothing cached.
How: `thread` is what the page's main thread computed till it had loaded (Chromium's clock of
    threads, so a busy neighbour does not count), `load` the wall time till then, `paint` till
    something was seen. Aim: load below 2 s. Writing is in process time.
Run: PYTHONPATH=. python benchmarks/report.py   (a minute; needs chromium and playwright; writes
    benchmarks/results/report.json)
Result (n = 5, medians, two idle cores of an AMD EPYC, Chromium 156):

    page     thread   paint   load
    7.3 MB   0.40 s   0.2 s   0.56 s

Beside seven runnable processes the same page took 6.1 s of wall time, and as long on the thread.
"""

import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright
from tests.analysis.planted import planted
from tests.report.planted_folder import fill_planted

from vireo.report import write_report

TRIALS = 5
CHROMIUM = "/usr/bin/chromium"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = fill_planted(Path(folder) / "study", planted(30, 21))
        start = time.process_time()
        page = write_report(root, root / "report.html")
        seconds = time.process_time() - start
        trials = opened(page.as_uri())
        size = page.stat().st_size
    medians = {key: statistics.median(trial[key] for trial in trials) for key in trials[0]}
    facts = {"bytes": size, "writing_seconds": seconds, "medians": medians, "trials": trials}
    path = Path(__file__).parent / "results" / "report.json"
    path.write_text(json.dumps(facts | {"hardware": platform.processor()}, indent=2) + "\n")
    print(json.dumps({key: facts[key] for key in ("bytes", "writing_seconds", "medians")}))


def opened(address):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        return [one(browser, address) for _ in range(TRIALS)]


def one(browser, address):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(address)
    metrics = session.send("Performance.getMetrics")["metrics"]
    seconds = {metric["name"]: metric["value"] for metric in metrics}
    load = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    found = {
        "thread": seconds["TaskDuration"],
        "load": page.evaluate(load) / 1000,
        "paint": page.evaluate(paint) / 1000,
    }
    context.close()
    return found


if __name__ == "__main__":
    main()
