"""One page of a profile: ``results/<profile>/<page>.ipynb`` and its record beside it.

The record ``<page>.json`` has parameters, stages, tables, and information on the run; it is
written last, so that a page that has one is complete.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click
import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from localspec._utils.files import project_root
from localspec.cli._costs import core_seconds, cost_of
from localspec.cli._files import (
    as_json,
    inside,
    load_named_profile,
    read_notebook,
    results_folder,
    shown,
    write_if_changed,
)
from localspec.cli._grid import LOADING, job_parameters, job_record, stored_artifacts
from localspec.cli._jobs import State, began, jobs_folder, kept_state, reason
from localspec.cli._run import one_at_a_time
from localspec.cli._stamp import (
    LIBRARY,
    entry_hashes,
    information,
    source_hashes,
    summarise,
    table_problem,
    tidy,
)
from localspec.cli._train import train_one
from localspec.exceptions import ArtifactError
from localspec.pipeline import Profile, load_profile

# between papermill and kernel, where both can; without it the kernel warns
ENCRYPTED = Config(KernelManager={"transport_encryption": "auto"})
KILLED_STATUS = (-9, 137)


def in_declared_order(notebook: NotebookNode, parameters: dict, page: str) -> dict:
    """Return the parameters in the order in which the notebook declares them.

    One that it does not declare is refused: papermill would only warn.
    """
    if not any("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells):
        raise click.ClickException(f"{page}: the notebook has no cell tagged 'parameters'")
    declared = papermill.inspect_notebook(notebook)
    unknown = sorted(parameters.keys() - declared.keys())
    if unknown:
        raise click.ClickException(f"{page}: the notebook has no parameter {', '.join(unknown)}")
    return {name: parameters[name] for name in declared if name in parameters}


class WatchedKernel(AsyncKernelManager):
    """A kernel whose exit status is known after it died."""

    exit_status: int | None = None

    async def is_alive(self) -> bool:
        """Return whether it runs; note how it ended."""
        status = await self.provisioner.poll() if self.has_kernel else None
        if status is not None:
            WatchedKernel.exit_status = status
        return await super().is_alive()


def why_it_failed(error: Exception) -> str:
    """Return in one line which cell failed, and how, or what killed the kernel."""
    if not isinstance(error, DeadKernelError):
        return reason(error)
    status = WatchedKernel.exit_status
    if status in KILLED_STATUS:
        return "the kernel was killed (signal 9): most likely memory ran out"
    return f"the kernel died ({f'signal {-status}' if status and status < 0 else status})"


def execute(
    notebook: NotebookNode, page: str, partial: Path, parameters: dict, state: State
) -> NotebookNode:
    """Execute a notebook in the folder of its output, where nbval will execute it again."""
    root = project_root()
    # results outside the project: the library finds the project upwards from the kernel's folder
    folder = partial.parent if partial.is_relative_to(root) else root
    bar = {"desc": page, "leave": False} if sys.stderr.isatty() else False
    try:
        return papermill.execute_notebook(
            notebook,
            partial,
            parameters=parameters,
            kernel_name="python3",
            language="python",
            progress_bar=bar,
            start_timeout=300,
            cwd=folder,
            config=ENCRYPTED,
            kernel_manager_class=WatchedKernel,
            # the kernel logs as an error that it was interrupted, which is how it is shut down
            extra_arguments=["--log-level=CRITICAL"],
        )
    except Exception as error:
        state.line = why_it_failed(error)
        state.notebook = str(partial) if partial.is_file() else ""
        where = f"\n  the notebook up to there: {shown(partial)}" if state.notebook else ""
        raise click.ClickException(f"{page}: {state.line}{where}") from error


def kernel_variables(results: Path, record: Path, compute: str) -> dict[str, str]:
    """Return the environment variables of the kernel that runs a page.

    The library notes stages, tables and device in `record`; `compute` is what it does where a
    notebook's own parameter is "auto".
    """
    # the library that is stamped comes first on the path, wherever else pip installed one from
    path = [str(LIBRARY.parent), os.environ.get("PYTHONPATH", "")]
    return {
        "LOCALSPEC_RECORD": str(record),
        "LOCALSPEC_RESULTS": str(results),
        "LOCALSPEC_COMPUTE": compute,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        # this environment's kernel, not one of that name in the user's folder
        "JUPYTER_PATH": str(Path(sys.prefix, "share", "jupyter")),
    }


@dataclass
class Executed:
    """An executed notebook, tidied, and what the library recorded on the way."""

    notebook: NotebookNode
    parameters: dict
    entries: list[dict]
    duration_s: float


def run_notebook(
    page: str,
    parameters: dict,
    stem: Path,
    results: Path,
    state: State,
    *,
    compute: str,
    pages: Path | None = None,
) -> Executed:
    """Execute a page's notebook beside ``<stem>.ipynb``, whose record is removed."""
    partial, record = Path(f"{stem}.partial.ipynb"), stem.with_name(f".{stem.name}.record")
    stem.parent.mkdir(parents=True, exist_ok=True)
    for path in (Path(f"{stem}.json"), record, partial):
        path.unlink(missing_ok=True)
    os.environ.update(kernel_variables(results, record, compute))
    if pages is not None:
        os.environ["LOCALSPEC_PAGES"] = str(pages)
    source = read_notebook(project_root() / "notebooks" / f"{page}.ipynb", "make sync")
    parameters = in_declared_order(source, parameters, page)
    start = time.monotonic()
    executed = execute(source, page, partial, parameters, state)
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    entries = [json.loads(line) for line in lines]
    partial.unlink(missing_ok=True)
    record.unlink(missing_ok=True)
    return Executed(tidy(executed, source), parameters, entries, time.monotonic() - start)


def run_page(
    profile: Profile,
    page: str,
    results: Path,
    state: State,
    *,
    parameters: dict | None = None,
    compute: str = "auto",
) -> list[tuple[str, str]]:
    """Run a page into `results` and write its notebook, then its record; `state` says how."""
    parameters = profile.parameters(page) if parameters is None else parameters
    folder = inside(results, profile.name)
    hashes = source_hashes(profile, [page])[page]
    with one_at_a_time(folder / f".{page}"):  # `localspec page` may be called beside a run
        done = run_notebook(page, parameters, folder / page, results, state, compute=compute)
        summary = summarise(done.entries)
        figures = summary.pop("figures")
        about = information(summary.pop("device"), done.duration_s, hashes, figures)
        stamp = {"page": page, "profile": profile.name, "parameters": done.parameters, **summary}
        problem = table_problem(stamp, folder / "tables")
        if problem:
            raise click.ClickException(f"{page}: {problem}")
        write_if_changed(folder / f"{page}.ipynb", nbformat.writes(done.notebook) + "\n")
        write_if_changed(folder / f"{page}.json", as_json({**stamp, "information": about}))
        state.line = f"{page}: done in {done.duration_s:.1f} s"
        return stored_artifacts(done.entries, results)


def run_replicate(
    profile: Profile, page: str, network: str, seed: int, results: Path, state: State
) -> dict[str, object]:
    """Run a page's notebook for one network and seed: what it leaves are artifacts.

    The executed copy is kept, its tables are not. Returns the job's record.
    """
    stem = jobs_folder(results, profile.name) / page / network / str(seed)
    files = stem.with_name(f"{seed}.files")
    parameters = job_parameters(profile, page, network, seed)
    hashes = entry_hashes(profile, page, parameters)
    done = run_notebook(page, parameters, stem, results, state, compute="auto", pages=files)
    shutil.rmtree(files, ignore_errors=True)
    write_if_changed(Path(f"{stem}.ipynb"), nbformat.writes(done.notebook) + "\n")
    state.line = f"{state.title}: done in {done.duration_s:.1f} s"
    return job_record(done.entries, hashes, results)


@click.command()
@click.argument("profile")
@click.argument("page")
def page(profile: str, page: str) -> None:
    """Run one PAGE of PROFILE, whether it is current or not."""
    loaded, state = load_named_profile(profile), State(page)
    loaded.parameters(page)  # refuses what is no page
    click.echo(f"{page}: running", err=True)
    run_page(loaded, page, results_folder(), state)
    click.echo(state.line, err=True)


def run_job(profile: Profile, name: str, results: Path, state: State) -> None:
    """Do the job that is called `name` and keep its record, with what it took."""
    kind, *replicate = name.split("/")
    start, job_began = core_seconds(), time.time()
    if not replicate:
        record: dict[str, object] = {"artifacts": run_loading_page(profile, kind, results, state)}
    elif kind == "train":
        state.line, artifact = train_one(profile, replicate[0], int(replicate[1]))
        record = {"artifacts": [artifact]}
    else:
        record = run_replicate(profile, kind, replicate[0], int(replicate[1]), results, state)
    folder = jobs_folder(results, profile.name)
    record["cost"] = cost_of(
        record["artifacts"],
        results,
        job_began=job_began,
        run_began=began(folder),
        seconds=core_seconds() - start,
        start=start,
    )
    write_if_changed(folder / f"{name}.json", as_json(record))


def run_loading_page(
    profile: Profile, page: str, results: Path, state: State
) -> list[tuple[str, str]]:
    """Run a page after its jobs; where they left something out, they are no longer current."""
    compute = "never" if page in LOADING else "auto"
    try:
        return run_page(profile, page, results, state, compute=compute)
    except click.ClickException:
        state.lacking = compute == "never" and ArtifactError.__name__ in state.line
        if state.lacking:
            for record in (jobs_folder(results, profile.name) / page).rglob("*.json"):
                record.unlink(missing_ok=True)
        raise


@click.command(hidden=True)
@click.argument("path")
@click.argument("name")
def job(path: str, name: str) -> None:
    """Do one job of a run of the profile in PATH, and keep its state for that run."""
    results, profile = results_folder(), load_profile(path)
    with kept_state(jobs_folder(results, profile.name), name) as state:
        run_job(profile, name, results, state)
