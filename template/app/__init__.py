"""The service."""

import gc
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    found = sys.version.split()[0]
    sys.exit(f"This service needs Python 3.11 or newer, and this is {found}: try `uv run dev.py`.")

# Imports create almost no garbage; looking for it takes a tenth of the start-up time. Requests
# create little either: what one has made goes with its last reference.
gc.set_threshold(10_000, 20, 50)
