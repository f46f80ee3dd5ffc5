"""Write requirements.lock: the exact versions the project is tested with, for every platform.

Usage: python tools/lock.py [--upgrade]   (needs uv on the path or in this Python)

The lock leaves out what only torch's CUDA build needs (nvidia-*, cuda-*, triton): torch's own
metadata installs those where that build is used, and nobody else should download them.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
TESTED_TORCH = ["torch==2.13.0", "torchvision==0.28.0"]
TORCH_ONLY = re.compile(r"(nvidia|cuda|triton)\b")
HEADER = """\
# The exact versions tested, for every platform. Made by `python tools/lock.py`; do not edit.
# torch's CUDA packages are left to torch's own metadata.
"""


def main() -> None:
    constraints = subprocess.run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "compile",
            "--universal",
            "--no-annotate",
            "--no-header",
            "--python-version",
            "3.11",
            "--extra",
            "book",
            "--extra",
            "test",
            "--constraint",
            "-",
            *sys.argv[1:],
            "pyproject.toml",
        ],
        cwd=ROOT,
        input="\n".join(TESTED_TORCH),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = [line for line in constraints.stdout.splitlines() if not TORCH_ONLY.match(line)]
    LOCK.write_text(HEADER + "\n".join(lines) + "\n")
    print(f"{LOCK.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()
