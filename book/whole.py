"""Make the book one page and a PDF, and link both from the first page of the built site.

`make whole` runs this after `make site`. The page stands at the root of the site, whose pictures
and styles it uses; Chromium prints the PDF.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE, PDF = "whole.html", "whole.pdf"
BUILD = "from jupyter_book.cli.main import main; main()"  # the package cannot be run with -m
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
LINKS = (
    f'<p class="whole">The whole book as <a href="../{PAGE}">one page</a> '
    f'and as <a href="../{PDF}">PDF</a>.</p>'
)
END = "</article>"


def build_page(root: Path, folder: Path) -> None:
    """Build the book of `root` as one page into a folder."""
    with tempfile.TemporaryDirectory() as target:
        command = [sys.executable, "-c", BUILD, "build", str(root), "--path-output", target]
        subprocess.run([*command, "-q", "--builder", "singlehtml"], check=True)
        shutil.copy(Path(target, "_build", "singlehtml", "book", "intro.html"), folder / PAGE)


def print_page(page: Path, pdf: Path) -> None:
    """Print a page as PDF."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        raise FileNotFoundError(f"none of {', '.join(CHROMIUM)} is on the path: install one")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    options += ["--disable-pdf-tagging"]  # tags are more than half of the file
    address = page.resolve().as_uri()
    subprocess.run([chromium, *options, f"--print-to-pdf={pdf.resolve()}", address], check=True)


def add_links(page: Path) -> None:
    """Put links to the page and the PDF at the end of a page, if they are not there."""
    html = page.read_text(encoding="utf-8")
    if LINKS not in html:
        before, end, after = html.partition(END)
        page.write_text(before + LINKS + end + after, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path, help="folder of the built site")
    site = parser.parse_args().site
    build_page(Path(__file__).resolve().parents[1], site)
    print_page(site / PAGE, site / PDF)
    add_links(site / "book" / "intro.html")
