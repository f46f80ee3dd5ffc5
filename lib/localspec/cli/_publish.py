"""Publication of a profile: its pages, tables, figures and stamps in ``book/runs/<profile>/``.

What did not change stays byte for byte: a picture that differs in a few pixels only under an
unchanged cell, and of a page of which nothing changed the files of its figures and, if its
parameters, stages and tables are the same, too, the information on its run. Figures are published
as SVG, and what they draw as CSV, compressed where it is long; PDF is left to those who run the
page.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import click
import nbformat
import numpy as np
from nbformat import NotebookNode
from PIL import Image, UnidentifiedImageError

from localspec._utils.artifacts import check_artifact
from localspec._utils.files import project_root
from localspec._utils.validation import check_option
from localspec.cli._files import (
    UNREADABLE,
    as_json,
    checksum,
    inside,
    load_named_profile,
    results_folder,
    shown,
    write_if_changed,
)
from localspec.cli._stamp import read_record, source_hashes
from localspec.pipeline import Profile, open_replicate

PIXELS = 0.001  # a picture that differs in a smaller share of its pixels is the same picture
PICTURES = ("image/png", "image/jpeg")
LONG = 100_000  # bytes, from which on the numbers of a figure are compressed
SAME_RUN = ("parameters", "stages", "tables")


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


def keep_information(record: dict, old: dict | None) -> dict:
    """Return `record` with the information of `old` if that was the same run.

    The files of figures are those of `record`: they may be written anew where nothing else is.
    """
    if old is None or any(record[key] != old.get(key) for key in SAME_RUN):
        return record
    figures = record["information"].get("figures", {})
    return record | {"information": old["information"] | {"figures": figures}}


def figure_files(page: str, names: Iterable[str], results: Path, profile: str) -> dict[str, bytes]:
    """Return those of the files of a page's figures that are published, by name.

    A page of one's own network writes into a folder of its name.
    """
    files = {}
    for name in names:
        places = [inside(results, folder, "figures", name) for folder in (profile, page)]
        path = next((path for path in places if path.is_file()), None)
        if path is None or path.suffix not in (".svg", ".csv"):
            continue
        content = path.read_bytes()
        if path.suffix == ".csv" and len(content) > LONG:
            name, content = f"{name}.gz", gzip.compress(content, mtime=0)
        files[name] = content
    return files


def publish_figures(page: str, record: dict, folder: Path, results: Path, *, same: bool) -> None:
    """Publish the files of a page's figures and note their checksums in its record, in place.

    Where the page is the `same` as before, files that are there stay.
    """
    figures = record["information"].get("figures", {})
    published = {}
    for name, content in figure_files(page, figures, results, folder.name).items():
        target = inside(folder, "figures", name)
        if not (same and target.is_file()):
            write_if_changed(target, content)
        published[name] = checksum(target)
    record["information"]["figures"] = published


def read_records(results: Path, pages: Mapping[str, Mapping[str, str]]) -> dict[str, dict]:
    """Return the records of pages; refuse what was not run or was changed since."""
    records = {}
    for page, hashes in pages.items():
        marker = results / f"{page}.json"
        again = f"run the profile first: make run PROFILE={results.name}"
        if not marker.is_file() or not marker.with_suffix(".ipynb").is_file():
            raise click.ClickException(
                f"{page} has not been run ({shown(marker)} is missing); {again}"
            )
        record, problem = read_record(marker, hashes)
        if problem:
            raise click.ClickException(f"{page}: {problem}; {again}")
        records[page] = record
    return records


def old_records(folder: Path) -> dict[str, dict]:
    """Return the records that are published in `folder`; none where they cannot be read."""
    path = folder / "stamps.json"
    if not path.is_file():
        return {}
    try:
        records = json.loads(path.read_text(encoding="utf-8"))["pages"]
        for record in records.values():
            _ = [record[key] for key in (*SAME_RUN, "information")]
        return records
    except UNREADABLE:
        click.echo(f"{shown(path)} cannot be read: written anew", err=True)
        return {}


def page_text(source: Path, published: Path) -> str:
    """Return the text of a page to publish, with the published pictures that still hold."""
    notebook = nbformat.read(source, as_version=4)
    if published.is_file():
        try:
            keep_pictures(notebook, nbformat.read(published, as_version=4))
        except (*UNREADABLE, nbformat.ValidationError):
            click.echo(f"{shown(published)} cannot be read: written anew", err=True)
    return nbformat.writes(notebook) + "\n"


def remove_others(folder: Path, pages: list[str], records: dict[str, dict]) -> None:
    """Remove pages, tables and files of figures that no longer exist."""
    tables = {name for record in records.values() for name in record["tables"]}
    figures = {
        name for record in records.values() for name in record["information"].get("figures", {})
    }
    gone = [path for path in folder.glob("*.ipynb") if path.stem not in pages]
    gone += [path for path in (folder / "tables").glob("*.csv") if path.name not in tables]
    gone += [path for path in (folder / "figures").glob("*.*") if path.name not in figures]
    for path in gone:
        path.unlink()


def check_names(records: dict[str, dict]) -> None:
    """Refuse two pages that write one table, or one file of a figure."""
    writers: dict[tuple[str, str], str] = {}
    for page, record in records.items():
        written = [("table", name) for name in record["tables"]]
        written += [("figure", name) for name in record["information"].get("figures", {})]
        for kind, name in written:
            other = writers.setdefault((kind, name), page)
            if other != page:
                raise click.ClickException(f"{page} and {other} both write the {kind} {name}")


def publish_pages(
    profile: str,
    pages: Mapping[str, Mapping[str, str]],
    results: Path,
    published: Path,
    chosen: list[str] | None = None,
) -> None:
    """Publish pages of a profile from `results` into `published`, the folders of all profiles.

    `pages` are all that the profile has, from :func:`source_hashes`; of these the `chosen` ones
    are published, by default all.
    """
    source, folder = inside(results, profile), inside(published, profile)
    old = old_records(folder)
    others = {path.stem for path in folder.glob("*.ipynb")} - {*(chosen or pages)}
    if chosen is not None and others & {*pages} - {*old}:
        raise click.ClickException(
            f"{shown(folder / 'stamps.json')} has no record of {', '.join(sorted(others))}: "
            "publish all pages together, or restore it"
        )
    new = read_records(source, {page: pages[page] for page in chosen or pages})
    merged = old | new
    records = {page: merged[page] for page in pages if page in merged}
    check_names(records)
    stamps = dict(records)
    for page, record in new.items():
        target = folder / f"{page}.ipynb"
        before = target.read_bytes() if target.is_file() else b""
        write_if_changed(target, page_text(source / target.name, target))
        same = target.read_bytes() == before
        publish_figures(page, record, folder, results, same=same)
        if same:
            stamps[page] = keep_information(record, old.get(page))
        for name in record["tables"]:
            write_if_changed(
                inside(folder, "tables", name), (source / "tables" / name).read_bytes()
            )
    remove_others(folder, list(records), records)
    write_if_changed(folder / "stamps.json", as_json({"profile": profile, "pages": stamps}))


def publish_networks(profile: Profile, published: Path) -> list[Path]:
    """Copy the stored networks that the profile names, as NETWORK-seedSEED; return what is there.

    Networks of fewer than the wanted seeds are copied as far as they are; others are removed.
    """
    folder = inside(published, profile.name, "networks")
    stored = {
        folder / f"{name}-seed{seed}.safetensors": open_replicate(
            profile, name, seed, compute="never", progress=False
        ).stored_path
        for name in profile.published_networks
        for seed in profile.published_seeds or profile.seeds
    }
    sources = {target: source for target, source in stored.items() if source is not None}
    for source in sources.values():
        check_artifact(source)
    for target, source in sources.items():
        if source != target:
            write_if_changed(target, source.read_bytes())
    for path in folder.glob("*.safetensors"):
        if path not in sources:
            path.unlink()
    return sorted(folder.glob("*.safetensors"))


@click.command()
@click.argument("profile", default="digits")
@click.argument("pages", nargs=-1)
def publish(profile: str, pages: tuple[str, ...]) -> None:
    """Publish the results of PROFILE (digits) in book/runs.

    With PAGES named, these pages only; the others, and the networks, stay as they are.
    """
    loaded = load_named_profile(profile)
    for page in pages:
        check_option(f"page of {profile}", page, loaded.pages)
    published = project_root() / "book" / "runs"
    hashes = source_hashes(loaded, loaded.pages)
    publish_pages(profile, hashes, results_folder(), published, list(pages) or None)
    networks = [] if pages else publish_networks(loaded, published)
    what = f"{len(pages or loaded.pages)} pages" + (
        f" and {len(networks)} networks" if networks else ""
    )
    click.echo(f"published {what} into {shown(published / profile)}")
