"""The pages as a browser takes them: no network, no errors, any width, any key, light and dark.

Chromium and its driver come from the system (`make browser`); without them these tests are skipped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

from .test_report import project, report

__all__ = ["project", "report"]  # the run and its pages, made once more for this module

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="needs chromium and chromedriver on the PATH: make browser, or your system's"
    ),
]

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)
TURN, ITEM = "turns/0004-ralph.html", "items/MEAN-FIX-001.html"

# Every text below 4.5:1 against the nearest background that is not transparent.
TOO_FAINT = """
const light = (text) => {
  const [r, g, b] = text.match(/[\\d.]+/g).map(Number)
    .map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || element.closest("svg, script, style, .vh, dialog, .skip") || !element.getClientRects().length) continue;
  let below = element;
  while (below && /, 0\\)$|transparent/.test(getComputedStyle(below).backgroundColor)) below = below.parentElement;
  const [a, b] = [light(getComputedStyle(element).color), light(getComputedStyle(below).backgroundColor)];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) found.push([element.tagName, element.className, element.textContent.slice(0, 30), contrast]);
}
return found;
"""
REACHABLE = """
for (const part of document.querySelectorAll("details")) part.open = true;
const all = [...document.querySelectorAll("a[href], summary, button, pre[tabindex]")];
const seen = all.filter((one) => !one.closest("dialog"));
seen.forEach((one, number) => one.dataset.number = number);
return seen.length;
"""


class Browser:
    """A browser that reads one report."""

    def __init__(self, driver: webdriver.Chrome, folder: Path) -> None:
        self.driver = driver
        self.folder = folder

    def open(self, page: str) -> None:
        self.driver.get((self.folder / page).as_uri())

    def look(self, *, width: int = 1280, scheme: str = "light") -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def press(self, key: str) -> None:
        self.driver.switch_to.active_element.send_keys(key)

    def ask(self, script: str) -> Any:
        return self.driver.execute_script(script)

    @property
    def page(self) -> str:
        return self.driver.current_url.rpartition("/")[2]

    @property
    def pages(self) -> list[str]:
        return [path.relative_to(self.folder).as_posix() for path in sorted(self.folder.rglob("*.html"))]


@pytest.fixture(scope="module")
def browser(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield Browser(driver, report)
    finally:
        driver.quit()


@pytest.fixture(autouse=True)
def fresh(browser: Browser) -> None:
    browser.look()


def test_no_page_has_errors_asks_the_network_or_leaves_the_report(browser: Browser) -> None:
    browser.open("index.html")
    browser.driver.get_log("performance")  # what the browser asked for its own first page
    for page in browser.pages:
        browser.open(page)
        browser.ask("for (const image of document.images) image.loading = 'eager';")
        widths = "return Promise.all([...document.images].map((i) => i.decode().then(() => i.naturalWidth)));"
        assert all(width > 0 for width in browser.ask(widths)), page
        assert browser.driver.get_log("browser") == [], page
    messages = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert len(asked) >= len(browser.pages)
    assert [url for url in asked if not url.startswith(browser.folder.as_uri() + "/")] == []


def test_no_page_scrolls_sideways_on_a_telephone(browser: Browser) -> None:
    browser.look(width=360)
    for page in browser.pages:
        browser.open(page)
        browser.ask("for (const part of document.querySelectorAll('details')) part.open = true;")
        assert browser.ask("return document.documentElement.scrollWidth") == 360, page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_background(browser: Browser, scheme: str) -> None:
    browser.look(scheme=scheme)
    for page in browser.pages:
        browser.open(page)
        browser.ask("for (const part of document.querySelectorAll('details')) part.open = true;")
        assert browser.ask(TOO_FAINT) == [], page


def test_a_dark_screen_gets_dark_pages(browser: Browser) -> None:
    colours = []
    for scheme in ("light", "dark"):
        browser.look(scheme=scheme)
        browser.open("index.html")
        colours.append(browser.ask("return getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(251, 250, 246)", "rgb(23, 24, 26)"]


@pytest.mark.parametrize("page", ["index.html", TURN, ITEM])
def test_tab_reaches_everything_that_can_be_used(browser: Browser, page: str) -> None:
    browser.open(page)
    count = browser.ask(REACHABLE)
    assert count > 10
    seen = []
    for _ in range(count):
        browser.press(Keys.TAB)
        seen.append(browser.ask("return Number(document.activeElement.dataset.number)"))
        assert browser.ask("return getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert seen == list(range(count))


def test_the_skip_link_leads_to_the_content(browser: Browser) -> None:
    browser.open(TURN)
    browser.press(Keys.TAB)
    browser.press(Keys.ENTER)
    assert browser.ask("return document.activeElement.id") == "main"


def test_keys_walk_through_the_turns(browser: Browser) -> None:
    browser.open(TURN)
    for key, page in (
        ("j", "0005-galph.html"),
        (Keys.ARROW_RIGHT, "0006-ralph.html"),
        ("k", "0005-galph.html"),
        (Keys.ARROW_LEFT, "0004-ralph.html"),
        (Keys.HOME, "index.html"),
    ):
        browser.press(key)
        assert browser.page == page
    for key, turn in (("j", "0001-galph"), ("j", "0002-ralph"), ("k", "0001-galph")):
        browser.press(key)
        assert browser.ask("return document.activeElement.textContent") == turn
    browser.press(Keys.ENTER)
    assert browser.page == "0001-galph.html"
    browser.press("k")  # there is none before it
    assert browser.page == "0001-galph.html"


def test_a_question_mark_shows_the_keys_and_escape_hides_them(browser: Browser) -> None:
    browser.open("index.html")
    is_open = "return document.querySelector('dialog').open"
    browser.press("?")
    assert browser.ask(is_open)
    browser.press("j")  # goes nowhere while the help is shown
    browser.press(Keys.ESCAPE)
    assert not browser.ask(is_open)
    assert browser.page == "index.html"
    browser.driver.find_element("id", "keys").click()
    assert browser.ask(is_open)


def test_everything_opens_on_a_key_and_before_printing(browser: Browser) -> None:
    browser.open(TURN)
    folded = "return [...document.querySelectorAll('details')].filter((part) => !part.open).length"
    assert browser.ask(folded) > 0
    browser.press("o")
    assert browser.ask(folded) == 0
    browser.open(TURN)
    browser.ask("dispatchEvent(new Event('beforeprint'))")
    assert browser.ask(folded) == 0


def test_what_an_agent_wrote_is_never_run_and_could_not_be(browser: Browser) -> None:
    for page in ("index.html", TURN, "turns/0002-ralph.html"):
        browser.open(page)
        assert browser.driver.title != "owned"
        assert "<script>document.title = " in browser.ask("return document.body.innerText")
    browser.ask("""
        const code = document.createElement("script");
        code.textContent = "document.title = 'owned'";
        document.body.append(code);
        const frame = document.createElement("iframe");
        frame.srcdoc = "<script>parent.document.title = 'owned'</scr" + "ipt>";
        document.body.append(frame);
    """)
    assert browser.driver.title.startswith("0002-ralph")
    assert "Content Security Policy" in str(browser.driver.get_log("browser"))
