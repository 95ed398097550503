"""The entry point of servers: `uvicorn app.main:app`."""

import gc

from app.application import create_app
from app.kit.logs import configure_logging
from app.settings import Settings

settings = Settings()
configure_logging(settings)
app = create_app(settings)

# Modules loaded by now stay for good: leave them out of garbage collection.
gc.freeze()
