"""The built book, served to this machine only."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import click

from localspec._utils.files import project_root
from localspec.cli._files import shown
from localspec.cli._options import WholeNumber

HOST = "127.0.0.1"


@click.command()
@click.option("--port", type=WholeNumber(65535), default=8000, show_default=True)
def serve(port: int) -> None:
    """Serve the built book to this machine only, until Ctrl+C."""
    folder = project_root() / "_build" / "html"
    if not (folder / "index.html").is_file():
        raise click.ClickException(
            f"no book is built ({shown(folder / 'index.html')} is missing): make book"
        )
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    try:
        server = ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise click.ClickException(
            f"port {port} cannot be used ({error.strerror}): choose another one, "
            "--port 8001 (PORT=8001 of make)"
        ) from error
    with server:
        click.echo(f"http://{HOST}:{port}/ (Ctrl+C ends it)")
        server.serve_forever()
