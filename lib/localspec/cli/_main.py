"""The command ``localspec``: its subcommands and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from localspec._utils.files import RESULTS_VARIABLE
from localspec.cli._costs import costs
from localspec.cli._determinism import determinism
from localspec.cli._files import shown
from localspec.cli._page import job, page
from localspec.cli._publish import publish
from localspec.cli._run import report, run
from localspec.cli._serve import serve
from localspec.cli._train import train
from localspec.cli._verify import verify
from localspec.exceptions import LocalspecError


class Commands(click.Group):
    """A group of commands that tells an error of the library in one line."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command; what library or system refuses ends it without a traceback."""
        try:
            return super().invoke(context)
        except BrokenPipeError:  # nobody reads any more: click knows what to do
            raise
        except LocalspecError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            where = f"{shown(Path(error.filename))}: " if error.filename else ""
            raise click.ClickException(
                f"{where}{error.strerror or error}: free some space, move away what is in the "
                f"way, or name another folder for results with {RESULTS_VARIABLE}"
            ) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run, train, publish and verify the pages of a profile, inside a clone of the project."""


for command in (run, report, page, job, train, publish, verify, determinism, serve, costs):
    main.add_command(command)
