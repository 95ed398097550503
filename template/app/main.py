"""What servers load: `uvicorn app.main:app`."""

from app.application import create_app
from app.settings import Settings
from app.web.logs import configure_logging

settings = Settings()
configure_logging(settings)
app = create_app(settings)
