"""Python processes that tests start."""

import os
import signal
import subprocess
import sys


def python(*arguments, **options) -> subprocess.CompletedProcess:
    """Run Python to its end; return how it ended and what it printed."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def started(*arguments, **options) -> subprocess.Popen:
    """Start Python; return the process, whose output is to be read."""
    command = [sys.executable, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes, **options)


def heed_ctrl_c() -> None:
    """Let a child be ended by Ctrl+C, without which a shell starts its background jobs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command_line(*arguments) -> subprocess.Popen:
    """Start the command line in a process group of its own, as a terminal does."""
    options = {"start_new_session": True, "preexec_fn": heed_ctrl_c}
    return started("-m", "localspec.cli", *arguments, **options)


def send(process: subprocess.Popen, number: int) -> None:
    """Send a signal to a command line: Ctrl+C to its whole group, as a terminal does."""
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
