"""What the table of contents, `_toc.yml`, says of pages."""

from pathlib import Path

import yaml

TOC = "_toc.yml"


def chapters(toc: Path) -> list[dict]:
    """Return the entries of the table of contents in order, each followed by those below it."""
    entries = []
    for part in yaml.safe_load(toc.read_text(encoding="utf-8")).get("parts", []):
        for chapter in part["chapters"]:
            entries += [chapter, *chapter.get("sections", [])]
    return entries


def titles(toc: Path) -> dict[str, str]:
    """Return how the table of contents calls pages, by their names, where it says so."""
    return {entry["file"]: entry["title"] for entry in chapters(toc) if "title" in entry}
