"""Pages of each kind under axe, in both themes: nothing serious or critical."""

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.book

PAGES = (
    "book/intro",
    "book/differences",
    "book/status",
    "book/library/units",
    "book/runs/paper/05_synthesis",
    "book/runs/digits-controls/12_gallery",
)
GRAVE = ("serious", "critical")


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_grave(browser, address, name, mode):
    context = browser.new_context(color_scheme=mode)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{address}/{name}.html")
    page.wait_for_load_state("networkidle")
    page.add_style_tag(content="* { transition: none !important; }")  # colours change at once
    violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    grave = {v["id"]: v["nodes"][0]["html"] for v in violations if v["impact"] in GRAVE}
    context.close()
    assert grave == {}
