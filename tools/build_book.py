"""Build the book into _build/html, every warning an error.

Usage: python tools/build_book.py
"""

import shutil
import subprocess
import sys

from project import ROOT, refuse

OUTPUT = ROOT / "_build"
STRICT = ("-W", "-n", "--keep-going")
COMMAND = "from jupyter_book.cli.main import main; main()"  # the package cannot be run with -m


def main() -> None:
    # pages of chapters that are gone would stay, and warnings of pages read before not come again
    shutil.rmtree(OUTPUT, ignore_errors=True)
    build = [sys.executable, "-c", COMMAND, "build", ".", "--path-output", ".", "-q", *STRICT]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    page = OUTPUT / "html" / "index.html"
    if done.returncode or not page.is_file():
        print(done.stdout + done.stderr, file=sys.stderr)
        refuse("the book could not be built: see the warnings above")
    print(f"the book: {page.as_uri()}   (or: make serve)")


if __name__ == "__main__":
    main()
