"""Publish a profile's results: copy its pages, tables and stamps into book/runs/<profile>/.

Usage: python tools/publish.py [PROFILE [PAGE ...]]

With pages named, only those are published; the others, and the networks, stay as they are.
What did not change stays byte for byte: a picture that differs in a few pixels only under an
unchanged cell, and the information on a run whose parameters, stages and tables are the same.
"""

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbformat import NotebookNode
from PIL import Image, UnidentifiedImageError
from project import NOTEBOOKS, PUBLISHED, as_json, refuse, results_root, shown, table_problem, write

PIXELS = 0.001  # a picture that differs in a smaller share of its pixels is the same picture
PICTURES = ("image/png", "image/jpeg")
SAME_RUN = ("parameters", "stages", "tables")


# ----------------------------------------------------------------------------------- pictures


def _pixels(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA"))


def share_of_pixels(old: str, new: str) -> float:
    """Return the share of pixels in which two base64-encoded pictures differ (1: other shapes)."""
    if old == new:
        return 0.0
    try:
        before, after = _pixels(old), _pixels(new)
    except (ValueError, UnidentifiedImageError):
        return 1.0
    if before.shape != after.shape:
        return 1.0
    return float((before != after).any(axis=-1).mean())


def text_of(cell: NotebookNode) -> tuple:
    """Return what a reader can read of a code cell: its source and all outputs but pictures."""
    outputs = []
    for output in cell.outputs:
        data = output.get("data", {})
        text = {kind: value for kind, value in data.items() if kind not in PICTURES}
        printed = (output.output_type, output.get("name"), output.get("text"))
        outputs.append((*printed, text, sorted(data)))
    return cell.source, outputs


def keep_pictures(new: NotebookNode, old: NotebookNode) -> None:
    """Put the old pictures back into `new`, in place, where they are still what the cell shows."""
    before = {cell.id: cell for cell in old.cells if cell.cell_type == "code"}
    for cell in new.cells:
        earlier = before.get(cell.id)
        if cell.cell_type != "code" or earlier is None or text_of(cell) != text_of(earlier):
            continue
        for output, previous in zip(cell.outputs, earlier.outputs, strict=True):
            for kind in PICTURES:
                if kind not in output.get("data", {}):
                    continue
                if share_of_pixels(previous.data[kind], output.data[kind]) < PIXELS:
                    output.data[kind] = previous.data[kind]


# ------------------------------------------------------------------------------------- stamps


def keep_information(record: dict, old: dict | None) -> dict:
    """Return `record` with the information of `old` if that was the same run."""
    if old is None or any(record[key] != old.get(key) for key in SAME_RUN):
        return record
    return {**record, "information": old["information"]}


def read_records(results: Path, pages: list[str]) -> dict[str, dict]:
    """Return the records of pages; refuse what was not run or was changed since."""
    records = {}
    for page in pages:
        marker = results / f"{page}.json"
        again = f"run the profile first: make run PROFILE={results.name}"
        if not marker.is_file() or not marker.with_suffix(".ipynb").is_file():
            refuse(f"{page} has not been run ({shown(marker)} is missing); {again}")
        record = json.loads(marker.read_text(encoding="utf-8"))
        problem = table_problem(record, results / "tables")
        if problem:
            refuse(f"{page}: {problem}; {again}")
        records[page] = record
    return records


def old_records(folder: Path) -> dict[str, dict]:
    path = folder / "stamps.json"
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))["pages"]
    except (ValueError, KeyError, TypeError):
        print(f"{shown(path)} cannot be read: written anew", file=sys.stderr)
        return {}


# -------------------------------------------------------------------------------------- pages


def page_text(source: Path, published: Path) -> str:
    """Return the text of a page to publish, with the published pictures that still hold."""
    notebook = nbformat.read(source, as_version=4)
    if published.is_file():
        try:
            keep_pictures(notebook, nbformat.read(published, as_version=4))
        except (ValueError, nbformat.ValidationError):
            print(f"{shown(published)} cannot be read: written anew", file=sys.stderr)
    return nbformat.writes(notebook) + "\n"


def remove_others(folder: Path, pages: list[str], records: dict[str, dict]) -> None:
    """Remove pages and tables that no longer exist."""
    tables = {name for record in records.values() for name in record["tables"]}
    gone = [path for path in folder.glob("*.ipynb") if path.stem not in pages]
    gone += [path for path in (folder / "tables").glob("*.csv") if path.name not in tables]
    for path in gone:
        path.unlink()


def check_tables(records: dict[str, dict]) -> None:
    """Refuse two pages that write one table."""
    tables: dict[str, str] = {}
    for page, record in records.items():
        for name in record["tables"]:
            if tables.setdefault(name, page) != page:
                refuse(f"{page} and {tables[name]} both write the table {name}")


def publish(
    profile: str, pages: list[str], results: Path, published: Path, chosen: list[str] | None = None
) -> None:
    """Publish the chosen ones of a profile's pages from `results` into `published`."""
    source, folder = results / profile, published / profile
    old = old_records(folder)
    others = {path.stem for path in folder.glob("*.ipynb")} - {*(chosen or pages)}
    if chosen is not None and others & {*pages} - {*old}:
        refuse(
            f"{shown(folder / 'stamps.json')} has no record of {', '.join(sorted(others))}: "
            "publish all pages together, or restore it"
        )
    found = read_records(source, pages if chosen is None else chosen)
    records = {page: found.get(page, old.get(page)) for page in pages if page in {**old, **found}}
    check_tables(records)
    for page, record in found.items():
        target = folder / f"{page}.ipynb"
        write(target, page_text(source / target.name, target))
        for name in record["tables"]:
            write(folder / "tables" / name, (source / "tables" / name).read_bytes())
    remove_others(folder, list(records), records)
    stamps = {page: keep_information(record, old.get(page)) for page, record in records.items()}
    write(folder / "stamps.json", as_json({"profile": profile, "pages": stamps}))


def publish_networks(profile: Any, published: Path) -> list[Path]:
    """Copy the stored networks that the profile names, as NETWORK-seedSEED; return what is there.

    Networks of fewer than the wanted seeds are copied as far as they are; others are removed.
    """
    from localspec.pipeline import Replicate

    folder = published / profile.name / "networks"
    stored = {
        folder / f"{name}-seed{seed}.safetensors": Replicate(
            profile, name, seed, compute="never", progress=False
        ).stored_path
        for name in profile.published_networks
        for seed in profile.published_seeds or profile.seeds
    }
    sources = {target: source for target, source in stored.items() if source is not None}
    for target, source in sources.items():
        if source != target:
            write(target, source.read_bytes())
    for path in folder.glob("*.safetensors"):
        if path not in sources:
            path.unlink()
    return sorted(folder.glob("*.safetensors"))


def main() -> None:
    profile, *chosen = sys.argv[1:] or ["digits"]
    from localspec.errors import LocalspecError, choose
    from localspec.profiles import load_profile

    try:
        loaded = load_profile(NOTEBOOKS / "profiles" / f"{profile}.yml")
        for page in chosen:
            choose(f"page of {profile}", page, loaded.pages)
        publish(profile, loaded.pages, results_root(), PUBLISHED, chosen or None)
        networks = [] if chosen else publish_networks(loaded, PUBLISHED)
    except LocalspecError as error:
        refuse(str(error))
    what = f"{len(chosen or loaded.pages)} pages" + (
        f" and {len(networks)} networks" if networks else ""
    )
    print(f"published {what} into {shown(PUBLISHED / profile)}")


if __name__ == "__main__":
    main()
