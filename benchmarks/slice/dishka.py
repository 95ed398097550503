"""The container: how it makes the classes."""

from typing import Annotated

from dishka import Provider, Scope

from app.bench.classes import CHAIN, CLASSES, WIDE, Hello
from app.kit.lifecycle import Resolve

HelloDep = Annotated[Hello, Resolve(Hello)]
LEVELS = {depth: Annotated[each, Resolve(each)] for depth, each in enumerate(CHAIN, 1)}
WideDep = Annotated[WIDE, Resolve(WIDE)]

provider = Provider(Scope.REQUEST)
provider.provide_all(*CLASSES)
