"""The Redis or Valkey of the development server."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from app.kit.development import valkey
from app.kit.development.environment import is_set


@contextmanager
def running() -> Iterator[None]:
    """Start a server that is empty at every start, unless `REDIS_URL` is set."""
    if is_set("REDIS_URL"):
        yield
        return
    try:
        with valkey.running() as url:
            os.environ["REDIS_URL"] = url
            print(f"Valkey: {url}")
            print("To use another, set REDIS_URL=redis://localhost:6379/0")
            yield
    except valkey.NoValkey as error:
        sys.exit(str(error).format(variable="REDIS_URL"))
