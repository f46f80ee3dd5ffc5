"""Serve the built book to this machine only.

Usage: python tools/serve.py [PORT]   (8000; any free port where that one is taken)
"""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from project import ROOT, refuse

HTML = ROOT / "_build" / "html"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing of every request."""


def make_server(port: int) -> ThreadingHTTPServer:
    """Return a server bound to the loopback address."""
    handler = partial(Quiet, directory=str(HTML))
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def main() -> None:
    if not (HTML / "index.html").is_file():
        refuse("no book is built: make book")
    if len(sys.argv) > 2 or not all(argument.isdigit() for argument in sys.argv[1:]):
        refuse("usage: make serve PORT=8000")
    with make_server(int(sys.argv[1]) if sys.argv[1:] else 8000) as server:
        print(f"the book: http://127.0.0.1:{server.server_port}/ (Ctrl+C ends)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
