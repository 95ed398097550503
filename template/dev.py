"""The development server: `uv run dev.py`. `--help` says what it does."""

import os
from pathlib import Path

from app.kit.development.server import main

if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    main()
