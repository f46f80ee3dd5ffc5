"""Signals: SIGTERM and Ctrl+C end a run at once, with everything that it started.

That is safe at any moment: what is stored is whole or not there, and a training goes on from its
checkpoint.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE_S = 1.0  # for processes that were killed
GOES_ON = "The same command goes on where this one was"


def kill_descendants() -> None:
    """Kill the processes that this one started, and theirs, kernels too."""
    descendants = psutil.Process().children(recursive=True)
    for process in descendants:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(descendants, timeout=PATIENCE_S)


def _end(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    kill_descendants()
    kill_descendants()  # what was started meanwhile in place of a killed one
    name = signal.Signals(number).name
    start = "\n" if sys.stderr.isatty() else ""  # behind what stands in this line: ^C, a bar
    with suppress(OSError):  # whoever read it may be gone
        os.write(2, f"{start}Stopped by {name}. {GOES_ON}\n".encode())
    os._exit(128 + number)  # not through exit: threads wait for jobs there


@contextmanager
def ended_by_signals(local: bool = True) -> Iterator[None]:
    """End this process and its jobs with status 128 + number on a signal inside the block.

    Where the jobs are not `local`, signals are left to Snakemake, which cancels them.
    """
    if not local:
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as a shell starts jobs in the background
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
