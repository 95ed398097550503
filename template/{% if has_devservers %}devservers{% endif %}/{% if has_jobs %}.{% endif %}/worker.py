"""A worker for development, started anew when the code changes."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from watchfiles import PythonFilter, watch


@contextmanager
def running() -> Iterator[None]:
    """Run jobs meanwhile, in a process of their own."""
    stopping = threading.Event()

    def run() -> None:
        changes = watch("app", watch_filter=PythonFilter(), stop_event=stopping)
        while not stopping.is_set():
            command = [sys.executable, "-m", "app", "worker"]
            # Ctrl-C is for the server: the worker ends when it has.
            process = subprocess.Popen(command, start_new_session=True)
            next(changes, None)
            process.terminate()
            process.wait()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
