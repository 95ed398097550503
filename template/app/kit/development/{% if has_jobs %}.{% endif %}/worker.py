"""The worker of the development server. It restarts when the code changes."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from watchfiles import PythonFilter, watch

_STOP_TIMEOUT_SECONDS = 30.0


@contextmanager
def running() -> Iterator[None]:
    """Run a worker in a process of its own."""
    stopping = threading.Event()

    def run() -> None:
        changes = watch("app", watch_filter=PythonFilter(), stop_event=stopping)
        while not stopping.is_set():
            process = subprocess.Popen([sys.executable, "-m", "app", "worker"])
            next(changes, None)
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_SECONDS)
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
