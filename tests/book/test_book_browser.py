"""Every page of the book in a real browser: nothing fails, nothing foreign, all of it readable."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from contents import chapters

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"]] + [entry["file"] for entry in chapters(ROOT / "_toc.yml")]
RUNS = [page for page in PAGES if page.startswith("book/runs/")]
PHONE, DESKTOP = 390, 1280
MODES = ("light", "dark")
BODY, LARGE = 4.5, 3.0  # contrast that WCAG 2 asks for at least: of body text, of large text

# [contrast, large text?, what] of every element of the article that has text of its own
CONTRASTS = """
() => {
  const numbers = colour => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const cache = new Map();
  const parse = colour => {
    if (!cache.has(colour)) cache.set(colour, numbers(colour));
    return cache.get(colour);
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const behind = element => {
    if (!element) return [255, 255, 255];
    const colour = parse(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
  };
  const luminance = colour => {
    const [r, g, b] = colour.map(v => v / 255).map(
      v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll('article *')) {
    const own = [...element.childNodes].filter(n => n.nodeType === 3 && n.data.trim());
    const aside = element.closest('svg, mjx-container, .headerlink') !== null;
    if (!own.length || aside || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), back = behind(element);
    const text = over(parse(style.color), back);
    const [low, high] = [luminance(text), luminance(back)].sort((a, b) => a - b);
    const large = parseFloat(style.fontSize) >= 24 || element.closest('pre') !== null;
    const what = element.tagName + ': ' + own[0].data.trim().slice(0, 40);
    found.push([(high + 0.05) / (low + 0.05), large, what]);
  }
  return found;
}
"""


@dataclass
class Visit:
    """What a browser saw on one page."""

    problems: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    formulas: int = 0
    typeset: int = 0
    formula_errors: int = 0
    phone_width: int = 0
    contrasts: dict[str, list] = field(default_factory=dict)
    figure_backgrounds: dict[str, list[str]] = field(default_factory=dict)


def watch(page, address: str) -> Visit:
    """Record from now on what goes wrong on a page."""
    visit = Visit()

    def failed(request) -> None:
        # aborted: the browser itself gave it up when it left the page, as the root page is left
        if request.failure != "net::ERR_ABORTED":
            visit.problems.append(f"failed: {request.url} ({request.failure})")

    page.on("console", lambda m: m.type == "error" and visit.problems.append(m.text))
    page.on("pageerror", lambda error: visit.problems.append(str(error)))
    page.on("requestfailed", failed)
    page.on("response", lambda r: r.status >= 400 and visit.problems.append(f"{r.status}: {r.url}"))

    def check_host(request) -> None:
        if not request.url.startswith((address + "/", "data:", "blob:")):
            visit.foreign.append(request.url)

    page.on("request", check_host)
    return visit


def settle(page) -> None:
    """Wait until the page, its pictures and its mathematics are there."""
    page.wait_for_load_state("load")
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.evaluate("() => document.fonts.ready.then(() => true)")
    page.wait_for_load_state("networkidle")


def look(page, visit: Visit) -> None:
    """Fill in what is seen: desktop first, then a phone, light and dark."""
    settle(page)
    visit.images = page.evaluate(
        "() => [...document.images].map(i => ({source: i.src, width: i.naturalWidth, alt: i.alt}))"
    )
    visit.formulas = page.locator("article .math").count()
    visit.typeset = page.locator("article .math:has(mjx-container)").count()
    visit.formula_errors = page.locator("article mjx-merror").count()
    page.evaluate("() => document.querySelectorAll('article details').forEach(d => d.open = true)")
    page.add_style_tag(content="* { transition: none !important; }")  # colours change at once
    for mode in MODES:
        page.evaluate(f"() => {{ document.documentElement.dataset.theme = '{mode}'; }}")
        visit.contrasts[mode] = page.evaluate(CONTRASTS)
        visit.figure_backgrounds[mode] = page.evaluate(
            "() => [...document.querySelectorAll('.cell_output img')]"
            ".map(i => getComputedStyle(i).backgroundColor)"
        )
    page.set_viewport_size({"width": PHONE, "height": 844})
    visit.phone_width = page.evaluate(
        "() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
    )


@pytest.fixture(scope="module")
def desktop(browser):
    """A desktop window, in which tests open pages."""
    context = browser.new_context(viewport={"width": DESKTOP, "height": 900})
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture(scope="module")
def visits(desktop, address):
    """Visits of pages, each made once."""
    made: dict[str, Visit] = {}

    def visit(name: str) -> Visit:
        if name not in made:
            page = desktop.new_page()
            made[name] = watch(page, address)
            page.goto(f"{address}/{name}.html")
            look(page, made[name])
            page.close()
        return made[name]

    return visit


@pytest.fixture
def page(desktop, address):
    """A new page whose problems are counted when the test is over."""
    page = desktop.new_page()
    visit = watch(page, address)
    yield page
    page.close()
    assert not visit.problems
    assert not visit.foreign


@pytest.mark.parametrize("name", PAGES)
def test_nothing_goes_wrong(visits, name):
    assert visits(name).problems == []


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_asked_of_foreign_hosts(visits, name):
    assert visits(name).foreign == []


@pytest.mark.parametrize("name", PAGES)
def test_pictures_are_there_and_described(visits, name):
    images = visits(name).images
    assert images  # the logo at least
    assert [image["source"] for image in images if image["width"] == 0] == []
    described = re.compile(r"(?!.*\.(png|svg)$).+")  # by more than the name of a file
    assert [image["source"] for image in images if not described.match(image["alt"])] == []


@pytest.mark.parametrize("name", PAGES)
def test_mathematics_is_typeset(visits, name):
    visit = visits(name)
    assert visit.typeset == visit.formulas
    assert visit.formula_errors == 0


def test_the_method_has_mathematics(visits):
    assert visits("book/paper").formulas > 20
    assert visits("book/method").formulas > 20


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_needs_no_sideways_scrolling(visits, name):
    assert visits(name).phone_width <= PHONE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PAGES)
def test_text_stands_out_from_its_background(visits, name, mode):
    measured = visits(name).contrasts[mode]
    assert len(measured) > 10
    weak = [(round(c, 2), text) for c, large, text in measured if c < (LARGE if large else BODY)]
    assert weak == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", RUNS)
def test_figures_have_an_opaque_background(visits, name, mode):
    backgrounds = visits(name).figure_backgrounds[mode]
    assert set(backgrounds) <= {"rgb(255, 255, 255)"}


def test_the_root_leads_to_the_first_page(page, address):
    page.goto(f"{address}/index.html")
    page.wait_for_url(re.compile(re.escape(f"{address}/{TOC['root']}.html")))
    assert page.locator("article h1").first.inner_text()


def test_the_icon_is_there(page, address):
    page.goto(f"{address}/{TOC['root']}.html")
    icon = page.locator("link[rel=icon], link[rel='shortcut icon']").first.get_attribute("href")
    answer = page.request.get(f"{address}/{TOC['root']}.html".rsplit("/", 1)[0] + "/" + icon)
    assert answer.status == 200


def test_search_finds_a_page(page, address):
    page.goto(f"{address}/{TOC['root']}.html")
    settle(page)
    page.keyboard.press("Control+K")
    field_ = page.locator("input[type=search]:visible")
    assert field_.count() == 1
    field_.fill("permutation Fisher")
    field_.press("Enter")
    results = page.locator("#search-results ul.search a[href*='method']")
    results.first.wait_for()
    assert results.count() >= 1
    settle(page)


def test_there_is_one_search_button(page, address):
    page.goto(f"{address}/{TOC['root']}.html")
    assert page.locator(".search-button-field:visible, .search-button:visible").count() == 1


def test_folded_cells_open(page, address):
    page.goto(f"{address}/{RUNS[0]}.html")
    folded = page.locator("article details.hide").first
    source = folded.locator("pre").first
    assert not source.is_visible()
    folded.locator("summary").first.click()
    assert source.is_visible()


@pytest.mark.parametrize("name", RUNS)
def test_every_run_has_its_stamp(page, address, name):
    page.goto(f"{address}/{name}.html")
    box = page.locator("article details.run-stamp")
    assert box.count() == 1
    assert not box.locator("table").is_visible()
    box.locator("summary").click()
    profile = name.split("/")[-2]
    assert profile in box.locator("table").inner_text()
    for link in box.locator("a").all():
        target = f"{address}/{name}.html".rsplit("/", 1)[0] + "/" + link.get_attribute("href")
        assert page.request.get(target).status == 200


def test_the_theme_can_be_switched(page, address):
    page.goto(f"{address}/{TOC['root']}.html")
    seen = set()
    for _ in range(3):  # auto, light, dark
        page.locator("button.theme-switch-button:visible").first.click()
        seen.add(page.evaluate("() => document.documentElement.dataset.theme"))
    assert seen == set(MODES)
