"""The container: how it makes the classes."""

from typing import Annotated

from clean_ioc import Lifespan

from app.bench.classes import CHAIN, CLASSES, WIDE, Hello
from app.kit.lifecycle import Resolve, RootScope

HelloDep = Annotated[Hello, Resolve(Hello)]
LEVELS = {depth: Annotated[each, Resolve(each)] for depth, each in enumerate(CHAIN, 1)}
WideDep = Annotated[WIDE, Resolve(WIDE)]


def register(container: RootScope) -> None:
    for each in CLASSES:
        container.register(each, lifespan=Lifespan.scoped)
