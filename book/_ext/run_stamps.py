"""Show on every published page how it was computed, and refuse pages that belie their stamp.

The pages of `book/runs/<profile>/` come with `stamps.json`: a record for each page. A build fails
where a page's injected parameters or the checksums of its tables are not those of its record and,
for the digits profile (recomputed by everybody who builds the book), where a stage version is not
the library's. Pages of other profiles carry a notice instead. Everything is checked at every build.
"""

import ast
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path

from contents import TOC, titles
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

RUNS = "book/runs"
STAMPS = "stamps.json"
CURRENT_PROFILE = "digits"  # the one whose pages must be by the library as it is now
PAGE = re.compile(rf"{RUNS}/(?P<profile>[^/]+)/(?P<page>[^/]+)")
UNKNOWN = "(not recorded)"  # date and machine of pages that were run before stamps had them
RECORD_KEYS = {"information", "page", "parameters", "profile", "stages", "tables"}


class StampError(ExtensionError):
    """A published page and its stamp do not agree."""

    category = "Published page"


def stage_versions() -> dict[str, int]:
    """Return the library's stage versions; imported late, since only builds with pages need it."""
    try:
        from localspec.pipeline import STAGES
    except ImportError as error:
        raise StampError(f"the library cannot be imported ({error}): pip install -e .") from error
    return STAGES


def read_stamps(folder: Path) -> dict[str, dict]:
    """Return the records of a profile's pages, by page."""
    path = folder / STAMPS
    if not path.is_file():
        raise StampError(f"{path} is missing: publish the profile `{folder.name}` again")
    try:
        pages = json.loads(path.read_text(encoding="utf-8"))["pages"]
        incomplete = [page for page, record in pages.items() if RECORD_KEYS - record.keys()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StampError(f"{path} cannot be read as stamps ({error!r})") from error
    if incomplete:
        raise StampError(f"{path} has incomplete records: {', '.join(sorted(incomplete))}")
    return pages


def injected_parameters(notebook: dict) -> dict[str, object]:
    """Return the parameters in the cell that papermill injected (none: an empty mapping)."""
    for cell in notebook["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            source = "".join(cell["source"])
            assignments = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
            return {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}
    return {}


def page_problems(page: Path, record: dict) -> Iterator[str]:
    """Yield what a page and its tables contradict in their record, one sentence each."""
    injected = injected_parameters(json.loads(page.read_text(encoding="utf-8")))
    stamped = record["parameters"]
    for name in sorted(injected.keys() | stamped.keys()):
        here, there = injected.get(name, "nothing"), stamped.get(name, "nothing")
        # compared as JSON: True is not 1, and 1 is not 1.0
        if json.dumps(here) != json.dumps(there):
            yield f"parameter `{name}` is {here!r} on the page and {there!r} in its stamp"
    for name, expected in sorted(record["tables"].items()):
        table = page.parent / "tables" / name
        if not table.is_file():
            yield f"table `{name}` is in the stamp and not in tables/"
        elif hashlib.sha256(table.read_bytes()).hexdigest() != expected:
            yield f"table `{name}` was changed after the run: its checksum is not the stamp's"
    for name, expected in sorted(record["information"].get("figures", {}).items()):
        figure = page.parent / "figures" / name  # of pages published earlier, none are there
        if figure.is_file() and hashlib.sha256(figure.read_bytes()).hexdigest() != expected:
            yield f"figure `{name}` was changed after the run: its checksum is not the stamp's"


def stage_notices(record: dict, versions: dict[str, int]) -> Iterator[str]:
    """Yield for each stage of a record that is not the library's current one a sentence on it."""
    for stage, made in sorted(record["stages"].items()):
        if stage not in versions:
            yield f"computed with {stage} version {made['version']}; the library no longer has it"
        elif made["version"] != versions[stage]:
            yield (
                f"computed with {stage} version {made['version']}; "
                f"the library now has {versions[stage]}"
            )


def _published(env) -> list[tuple[str, Path]]:
    return [
        (docname, Path(env.doc2path(docname)))
        for docname in sorted(env.found_docs)
        if PAGE.fullmatch(docname)
    ]


def _refuse(problems: list[str]) -> None:
    if problems:
        raise StampError("\n  ".join(["Run and publish the profile again:", *problems]))


def check_all(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """Check every published page and have each read again: its stamp may be all that changed."""
    published = _published(env)
    records, problems = {}, []
    for _, path in published:
        record = read_stamps(path.parent).get(path.stem)
        if record is None:
            problems.append(f"{path}: not in {STAMPS}")
            continue
        records[path] = record
        problems += [f"{path}: {problem}" for problem in page_problems(path, record)]
    _refuse(problems)
    current = {path: r for path, r in records.items() if path.parent.name == CURRENT_PROFILE}
    versions = stage_versions() if current else {}
    old = {path: list(stage_notices(record, versions)) for path, record in current.items()}
    _refuse([f"{path}: {notice}" for path, notices in old.items() for notice in notices])
    return [docname for docname, _ in published]


def _row(name: str, value: str) -> str:
    return f"<tr><th scope='row'>{escape(name)}</th><td>{value}</td></tr>"


def _code(value: object) -> str:
    return f"<code>{escape(str(value))}</code>"


def _pairs(mapping: dict[str, object]) -> str:
    return "<br>".join(f"{escape(k)} {_code(v)}" for k, v in sorted(mapping.items()))


def box(record: dict) -> str:
    """Return the collapsible box of a page as HTML: what it was computed from, and with what."""
    information = record["information"]
    shown = {key: value for key, value in information.items() if value not in (None, "", {})}
    duration, packages = shown.pop("duration_s", None), shown.pop("packages", {})
    shown.pop("figures", None)
    commit, library = shown.pop("commit", None), shown.pop("library_hash", None)
    tables = (f'<a href="tables/{escape(name)}">{escape(name)}</a>' for name in record["tables"])
    stages = {stage: f"version {made['version']}" for stage, made in record["stages"].items()}
    rows = {
        "profile": escape(record["profile"]),
        "commit": _code(commit) if commit else "",
        "library hash": _code(library) if library else "",
        **{key.replace("_", " "): escape(str(value)) for key, value in sorted(shown.items())},
        "packages": _pairs(packages),
        "duration": f"{duration:.3g} s" if duration is not None else "",
        "stages": _pairs(stages),
        "parameters": _pairs({k: json.dumps(v) for k, v in record["parameters"].items()}),
        "tables": "<br>".join(tables),
    }
    body = "".join(_row(name, value) for name, value in rows.items() if value)
    return (
        '<details class="run-stamp"><summary>How this page was computed</summary>'
        f"<div><table>{body}</table></div></details>"
    )


def verifications(folder: Path) -> list[dict]:
    """Return the records of those who have computed a profile's numbers again, oldest first."""
    paths = sorted((folder / "verified").glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def reproduced_by(page: str, records: list[dict]) -> list[str]:
    """Return for each record that speaks of a page when, where and how far it agreed."""
    sentences = []
    for record in records:
        rows = [row for row in record["compared"] if row["page"] == page]
        if rows:
            n_cells = sum(row["cells"] for row in rows)
            n_agree = sum(row["agree"] for row in rows)
            sentences.append(
                f"{record['date']}, {record['machine']}: {n_agree:,} of {n_cells:,} values"
            )
    return sentences


def short_commit(commit: str) -> str:
    """Return the first eight digits, and whether something was changed that is not in it."""
    digits, changed, _ = commit.partition("-dirty")
    return digits[:8] + changed


def status_table(runs: Path, versions: dict[str, int], names_in_book: dict[str, str]) -> str:
    """Return the table of all published pages as HTML: what made each, and whether it is current.

    Links lead from a page beside the folder of runs; `names_in_book` has the titles of pages.
    """
    names = ("Page", "Library", "Commit", "Date", "Machine", "Duration", "Also reproduced by")
    rows = []
    for folder in sorted(path.parent for path in runs.glob(f"*/{STAMPS}")):
        records = verifications(folder)
        for page, record in read_stamps(folder).items():
            about = record["information"]
            machine = about.get("machine") or f"{about.get('platform', '')} {UNKNOWN}"
            duration = about.get("duration_s")
            notices = list(stage_notices(record, versions))
            name = f"{folder.name}/{page}"
            title = names_in_book.get(f"{RUNS}/{name}", page)
            cells = [
                f'<a href="{escape(f"{runs.name}/{name}.html")}">{escape(title)}</a> {_code(name)}',
                escape("; ".join(notices)) or "current",
                _code(short_commit(about["commit"])) if about.get("commit") else "",
                escape(about.get("date", UNKNOWN)),
                escape(machine),
                f"{duration:,.0f} s" if duration is not None else "",
                "<br>".join(map(escape, reproduced_by(page, records))),
            ]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    body = "".join(rows)
    return (
        '<div class="run-status"><table class="table stacked">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


class RunStatus(SphinxDirective):
    """Put the table of all published pages here."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # stamps change without the page
        runs = Path(self.env.srcdir, RUNS)
        toc = Path(self.env.srcdir, TOC)
        self.env.note_dependency(str(toc))
        table = status_table(runs, stage_versions(), titles(toc))
        return [nodes.raw("", table, format="html")]


def _notice(sentences: list[str]) -> nodes.Node:
    title = nodes.title("", "Computed with an earlier version")
    text = "This page was " + "; it was ".join(sentences) + "."
    return nodes.admonition("", title, nodes.paragraph("", text), classes=["warning", "run-notice"])


def add_stamp(app: Sphinx, doctree: nodes.document) -> None:
    """Put the box at the end of a published page and, where it needs one, a notice at its top."""
    match = PAGE.fullmatch(app.env.docname)
    if not match:
        return
    path = Path(app.env.doc2path(app.env.docname))
    record = read_stamps(path.parent)[match["page"]]
    section = next(iter(doctree.findall(nodes.section)), doctree)
    sentences = list(stage_notices(record, stage_versions()))
    if sentences:
        section.insert(1 if section.children else 0, _notice(sentences))
    section.append(nodes.raw("", box(record), format="html"))


def copy_files(app: Sphinx, exception: Exception | None) -> None:
    """Copy tables and files of figures beside their pages, where these link to them."""
    if exception is not None or app.builder.format != "html":
        return
    for folder in {path.parent for _, path in _published(app.env)}:
        for name in ("tables", "figures"):
            if (folder / name).is_dir():
                target = Path(app.outdir, folder.relative_to(app.srcdir), name)
                shutil.copytree(folder / name, target, dirs_exist_ok=True)


def setup(app: Sphinx) -> dict:
    app.add_directive("run-status", RunStatus)
    app.connect("env-get-outdated", check_all)
    app.connect("doctree-read", add_stamp)
    app.connect("build-finished", copy_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
