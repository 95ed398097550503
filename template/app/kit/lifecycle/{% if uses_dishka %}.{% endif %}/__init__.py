"""How long objects live: a container (dishka), checked at start, inside requests and outside."""

from app.kit.lifecycle.providers import Override, WiringError, override, singleton
from app.kit.lifecycle.scopes import Resolve, RootScope, RootScopeDep, WorkScope, open_root_scope

__all__ = [
    "Override",
    "Resolve",
    "RootScope",
    "RootScopeDep",
    "WiringError",
    "WorkScope",
    "open_root_scope",
    "override",
    "singleton",
]
