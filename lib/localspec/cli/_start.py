"""Start of a command that ends with its parent: ``python -P _start.py PARENT [ARGUMENTS]``.

The watch begins before the library is imported, which takes seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time


def die_with_parent(parent: int) -> None:
    """End this process soon after process `parent`, which started it, has ended.

    A killed ``make`` cannot tell its children, and a child that goes on would write into the
    folder of the next run. Kernels watch their parent in the same way. The number of the parent is
    passed, because one that ended while this process was starting can no longer be looked up.
    """
    if os.getppid() != parent:
        sys.exit(
            f"Error: process {parent}, which this one was started for, has ended: start it anew"
        )

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="die-with-parent").start()


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    interrupted = signal.getsignal(signal.SIGINT)
    if interrupted is not signal.SIG_IGN:  # as a shell starts jobs in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C while importing needs no traceback
    from localspec.cli import main

    signal.signal(signal.SIGINT, interrupted)
    main(sys.argv[2:], prog_name="localspec")
