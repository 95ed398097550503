"""How long objects live: providers of plain FastAPI `Depends`, inside requests and outside."""

from app.kit.lifecycle.providers import Override, WiringError, override, singleton
from app.kit.lifecycle.scopes import RootScope, RootScopeDep, WorkScope, open_root_scope

__all__ = [
    "Override",
    "RootScope",
    "RootScopeDep",
    "WiringError",
    "WorkScope",
    "open_root_scope",
    "override",
    "singleton",
]
