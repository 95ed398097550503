"""How long objects live: a container (Clean IoC), checked at start, inside requests and outside."""

from app.kit.lifecycle.opening import open_root_scope
from app.kit.lifecycle.overrides import Override, override
from app.kit.lifecycle.providers import WiringError, singleton
from app.kit.lifecycle.scopes import Resolve, RootScope, RootScopeDep, WorkScope

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
