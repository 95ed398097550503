"""Draws the objects of the service: `uv run dev.py graph`."""

import asyncio
from typing import Any, get_args

from app.kit.lifecycle import RootScope
from app.kit.objects import objects_of
from app.kit.service import Service

_GROUPS = {True: "app [once for the app]", False: "scope [once for each unit of work]"}


def draw(service: Service) -> str:
    """Return a Mermaid flowchart of what lives how long; an arrow points to what is needed."""
    return asyncio.run(_draw(service))


async def _draw(service: Service) -> str:
    async with service.open_root_scope(service.read_settings()) as root_scope:
        return flowchart(root_scope)


def flowchart(root_scope: RootScope) -> str:
    """Return the flowchart of a root scope."""
    lives: dict[str, bool] = {}
    arrows: set[tuple[str, str]] = set()
    for wanted, is_singleton, needs in objects_of(root_scope):
        if isinstance(wanted, type) and not _is_own(wanted):
            lives[wanted.__name__] = is_singleton
            arrows |= {(wanted.__name__, _name(each)) for each in needs}
    lines = ["flowchart LR"]
    for of, title in _GROUPS.items():
        names = sorted(name for name, is_singleton in lives.items() if is_singleton is of)
        lines += [f"    subgraph {title}", *(f"        {name}" for name in names), "    end"]
    both = (arrow for arrow in sorted(arrows) if {*arrow} <= lives.keys())
    return "\n".join([*lines, *(f"    {' --> '.join(arrow)}" for arrow in both)])


def _is_own(wanted: type) -> bool:
    """Tell whether an object is the lifecycle's, not the service's."""
    library = wanted.__module__.partition(".")[0]
    return wanted.__module__ == RootScope.__module__ or library == "starlette"


def _name(wanted: Any) -> str:
    """Return the name of a class, or of the members of a list."""
    member = get_args(wanted)[-1] if get_args(wanted) else wanted
    return str(getattr(member, "__name__", member))
