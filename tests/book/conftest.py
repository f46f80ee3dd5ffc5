"""The book, built once from the sources as they are in the tree, and a server for it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.data import served
from helpers.processes import python

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))  # the extensions are modules under test, too
BUILD = "from jupyter_book.cli.main import main; main()"  # the package cannot be run with -m


def run_build(source: Path, target: Path) -> subprocess.CompletedProcess:
    """Build the book in `source` into `target`/_build/html, every warning an error."""
    command = ["build", str(source), "--path-output", str(target), "-W", "-n", "--keep-going"]
    environment = {**os.environ, "NO_COLOR": "1"}
    return python("-c", BUILD, *command, env=environment)


@pytest.fixture(scope="session")
def build():
    return run_build


@pytest.fixture(scope="session")
def html(tmp_path_factory) -> Path:
    """Folder of the built book, which is built once for all workers."""
    folder = tmp_path_factory.getbasetemp()
    target = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "book"
    with FileLock(f"{target}.lock"):
        if not (target / "built").exists():
            done = run_build(ROOT, target)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            (target / "built").touch()
    return target / "_build" / "html"


@pytest.fixture(scope="session")
def address(html) -> Iterator[str]:
    """Address under which the built book is served, to this machine only."""
    with served(html) as address:
        yield address.rstrip("/")


@pytest.fixture(scope="module")  # while it is open, no other test could use asyncio
def browser() -> Iterator:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        reason = "Chromium is not installed (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-background-networking", "--disable-component-update", "--no-first-run"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-sync", *quiet]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, file) -> Iterator:
    """Function that opens the module's `file`; problems there and requests elsewhere are errors."""
    contexts, problems = [], []

    def open_page(anchor: str = "", **options: object):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: r.url.startswith((file, "data:")) or problems.append(r.url))
        page.goto(file + anchor)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
