"""What servers load: `uvicorn app.main:app`."""

import gc

from app.application import create_app
from app.kit.logs import configure_logging
from app.settings import Settings

settings = Settings()
configure_logging(settings)
app = create_app(settings)

# What is loaded by now stays for good: without it, each look for garbage is shorter.
gc.freeze()
