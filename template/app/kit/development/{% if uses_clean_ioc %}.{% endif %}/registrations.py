"""What a module registers with the container (Clean IoC)."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from clean_ioc import Lifespan

from app.kit.development.registration import Registration, not_plain

LIBRARY = "clean_ioc"
KEEPS_DEFAULTS = True
"""Of constructors, even where the type is registered."""


class _Recorder:
    """Takes the place of the container and notes what is registered."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.registrations: list[Registration] = []

    def register(
        self,
        wanted: Any,
        implementation: Any = None,
        *,
        factory: Any = None,
        lifespan: Lifespan = Lifespan.once_per_graph,
        **options: Any,
    ) -> None:
        for option in options:
            raise not_plain(self._module, wanted, f"is registered with `{option}=`")
        if lifespan is Lifespan.once_per_graph:
            remedy = "make it scoped or transient"
            raise not_plain(self._module, wanted, "is made once per graph", remedy)
        of_app, is_kept = lifespan is Lifespan.singleton, lifespan is not Lifespan.transient
        source = factory or implementation or wanted
        self.registrations.append(Registration(wanted, source, of_app, is_kept))

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        def refuse(wanted: Any, *_: Any, **__: Any) -> NoReturn:
            raise not_plain(self._module, wanted, f"is given to `{name}`")

        return refuse


def registrations_of(module: ModuleType) -> list[Registration]:
    """Return them in their order. Raise WiringError for what plain providers cannot do."""
    recorder = _Recorder(module)
    if hasattr(module, "register"):
        module.register(recorder)
    return recorder.registrations


def names_for_container(module: ModuleType) -> set[str]:
    """Return the names of a module that are for the container alone."""
    return {"register"}
