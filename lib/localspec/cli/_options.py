"""Options: values that come from make's variables, refused in one line."""

from __future__ import annotations

import click


class WholeNumber(click.ParamType):
    """A whole number of at least 1."""

    name = "integer"

    def __init__(self, at_most: int | None = None) -> None:
        self.at_most = at_most

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number, or refuse what is none in one line, without click's usage."""
        text, name = str(value), param.name if param else "value"
        limit = "from 1 on" if self.at_most is None else f"from 1 to {self.at_most}"
        plain = text.isascii() and text.isdigit() and len(text) < 10
        if not plain or int(text) < 1 or int(text) > (self.at_most or int(text)):
            raise click.ClickException(
                f"{name}={text!r} is not allowed: give a whole number {limit} "
                f"({name.upper()} of make, --{name} of localspec)"
            )
        return int(text)


CORES = click.option(
    "--cores",
    type=WholeNumber(),
    default=2,
    show_default=True,
    help="Processor cores, of all jobs together.",
)
JOBS = click.option(
    "--jobs", type=WholeNumber(), help="How many jobs run at once; here it stands for cores."
)
WORKFLOW = click.option(
    "--workflow", default="local", show_default=True, help="Where jobs run: a folder of profiles."
)
VERBOSE = click.option("--verbose", is_flag=True, help="Show what Snakemake says.")
