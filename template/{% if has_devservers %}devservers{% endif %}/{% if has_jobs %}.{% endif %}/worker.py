"""A worker for development, started anew when the code changes."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from watchfiles import PythonFilter, watch

_STOP_WITHIN = 30.0
"""Seconds."""


@contextmanager
def running() -> Iterator[None]:
    """Run jobs meanwhile, in a process of their own."""
    stopping = threading.Event()

    def run() -> None:
        changes = watch("app", watch_filter=PythonFilter(), stop_event=stopping)
        while not stopping.is_set():
            process = subprocess.Popen([sys.executable, "-m", "app", "worker"])
            next(changes, None)
            process.terminate()
            try:
                process.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
