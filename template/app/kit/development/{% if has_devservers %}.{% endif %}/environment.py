"""The environment that the service will read."""

import os
from pathlib import Path


def is_set(variable: str) -> bool:
    """Return whether the environment or `.env` sets a variable."""
    lines = Path(".env").read_text().splitlines()
    return bool(os.environ.get(variable)) or any(line.startswith(f"{variable}=") for line in lines)
