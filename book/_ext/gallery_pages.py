"""Make a published gallery light: best cards first, a few at a time, images in files of their own.

A gallery is one piece of HTML that needs nothing else, with the images inside and the cards in the
order of the network. Here the images become files, and the cards are put in the order of the lists
of the screening: by the number of measures whose p is at most 0.05, then by the sum of -ln p.
`_static/gallery.js` shows a few of them at a time; without it all are there.
"""

import base64
import hashlib
import json
import math
import re
from pathlib import Path

from run_stamps import PAGE
from sphinx.application import Sphinx

LEVEL = 0.05 * (1 + 1e-9)  # p-values up to here count
GALLERY = '<div class="lsg"'
IMAGE = re.compile(r"url\(data:image/png;base64,([^)]+)\)")
CARD = re.compile(r'<tr role="row" id=.*?</tr>', re.DOTALL)
P_VALUE = re.compile(r' data-[a-z-]+-p="([^"]+)"')
ORDER = re.compile(r' data-order="\d+"')
TITLE = re.compile(r'(<span class="lsg-sprite[^>]*aria-label="([^"]*)") title="\2"')


def rank(card: str) -> tuple[int, float]:
    """Return what cards are ordered by, the best first; undefined p-values count as 1."""
    p_values = [float(value) for value in P_VALUE.findall(card)]
    evidence = sum(-math.log(value) for value in p_values)
    return -sum(value <= LEVEL for value in p_values), -evidence


def best_first(html: str) -> str:
    """Return a gallery with its cards in order of rank, which the first of its buttons restores."""
    cards = sorted(CARD.findall(html), key=rank)
    numbered = iter(ORDER.sub(f' data-order="{place}"', card) for place, card in enumerate(cards))
    html = CARD.sub(lambda _: next(numbered), html)
    return html.replace('aria-label="list order">in order<', 'aria-label="best first">best first<')


def images_out(html: str, folder: Path, link: str) -> str:
    """Return a gallery whose images are files in a folder, which `link` leads to."""

    def written(match: re.Match) -> str:
        content = base64.b64decode(match[1])
        name = f"{hashlib.sha256(content).hexdigest()[:32]}.png"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return f"url({link}/{name})"

    return IMAGE.sub(written, html)


def with_light_gallery(notebook: dict, folder: Path, link: str) -> dict:
    """Return a notebook whose gallery is light, if it has one."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            if GALLERY in html:
                html = TITLE.sub(r"\1", best_first(html))  # the text is said once
                output["data"]["text/html"] = images_out(html, folder, link)
    return notebook


def lighten(app: Sphinx, docname: str, source: list[str]) -> None:
    if PAGE.fullmatch(docname) and app.builder.format == "html":
        link = "../" * docname.count("/") + "_images"
        notebook = with_light_gallery(json.loads(source[0]), Path(app.outdir, "_images"), link)
        source[0] = json.dumps(notebook)


def setup(app: Sphinx) -> dict:
    app.connect("source-read", lighten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
