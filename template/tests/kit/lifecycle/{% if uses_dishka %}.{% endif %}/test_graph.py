"""The check of the container's graph."""

import re
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Annotated, Generic, TypeVar

import pytest
from dishka import AnyOf, Provider, Scope, WithParents, provide
from fastapi import Depends
from starlette.requests import HTTPConnection

from app.kit.lifecycle import Override, Resolve, override
from app.settings import Settings
from tests.kit.lifecycle.test_providers import (
    Pool,
    PoolDep,
    get_pool,
    module,
    open_slice,
    raises_wiring_error,
)

T = TypeVar("T")


class Leaf: ...


class Branch:
    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf


class Tree:
    def __init__(self, branch: Branch) -> None:
        self.branch = branch


class Hen:
    def __init__(self, egg: "Egg") -> None: ...


class Egg:
    def __init__(self, hen: Hen) -> None: ...


class RedLeaf(Leaf): ...


class GreenLeaf(Leaf): ...


class Collection:
    def __init__(self, leaves: list[Leaf]) -> None:
        self.leaves = leaves


class Keeper:
    def __init__(self, connection: HTTPConnection) -> None: ...


class Box(Generic[T]):
    def __init__(self, leaf: Leaf) -> None: ...


def slice_of(*classes: type, singletons: tuple[type, ...] = ()) -> ModuleType:
    """Return a slice that provides some classes."""
    provider = Provider()
    for scope, those in ((Scope.REQUEST, classes), (Scope.APP, singletons)):
        provider.provide_all(*those, scope=scope)
    return module("app.trees.dependencies", provider=provider)


async def fault_of(settings: Settings, *classes: type, singletons: tuple[type, ...] = ()) -> str:
    """Return the message of the error with which a service with these classes does not start."""
    return await raises_wiring_error(settings, slice_of(*classes, singletons=singletons))


async def test_missing_type_is_named_with_its_dependent(settings: Settings) -> None:
    message = await fault_of(settings, Tree, Branch)
    assert "Cannot find factory for (Leaf" in message
    assert re.search(r"Tree .+ \S+Branch .+ \S+Leaf +\?\?\?", message, re.DOTALL)


async def test_alias_without_a_provider_is_named(settings: Settings) -> None:
    slice_ = module("app.trees.dependencies", LeafDep=Annotated[Leaf, Resolve(Leaf)])
    message = await raises_wiring_error(settings, slice_)
    assert "app.trees.dependencies.LeafDep" in message


async def test_alias_may_ask_for_what_a_generic_class_provides(settings: Settings) -> None:
    box_dep = Annotated[Box[int], Resolve(Box[int])]
    for boxes in (slice_of(Box, Leaf), slice_of(singletons=(Box, Leaf))):
        slices = [boxes, module(BoxDep=box_dep)]
        async with open_slice(settings, *slices) as root_scope, root_scope.new_scope() as scope:
            assert isinstance(await scope.resolve(Box[int]), Box)


async def test_cycle_is_named(settings: Settings) -> None:
    message = await fault_of(settings, Hen, Egg)
    assert re.search(
        r"Cycle dependencies detected.+ \S+(Hen .+ \S+Egg|Egg .+ \S+Hen) ", message, re.DOTALL
    )


async def test_cycle_of_a_class_and_a_plain_provider_is_named(settings: Settings) -> None:
    async def get_leaf(tree: Annotated[Tree, Resolve(Tree)]) -> Leaf:
        return Leaf()

    slices = [slice_of(Tree, Branch), module(LeafDep=Annotated[Leaf, Depends(get_leaf)])]
    message = await raises_wiring_error(settings, *slices)
    assert re.search(
        r"Cycle dependencies detected.+ \S+/test_graph.py: get_leaf$", message, re.DOTALL
    )


async def test_singleton_must_not_keep_a_scoped_object(settings: Settings) -> None:
    message = await fault_of(settings, Leaf, Branch, singletons=(Tree,))
    assert re.search(r"Scope.APP.+Tree .+ \S+Branch +\?\?\?", message, re.DOTALL)
    assert "Try changing scope of `Tree` to Scope.REQUEST" in message


async def test_singleton_must_not_keep_a_list_of_scoped_objects(settings: Settings) -> None:
    provider = Provider(Scope.APP)
    provider.provide(Collection)
    provider.provide(Leaf, scope=Scope.REQUEST)
    provider.collect(Leaf)
    message = await raises_wiring_error(settings, module(provider=provider))
    assert "Try changing scope of `Collection` to Scope.REQUEST" in message


async def test_singleton_must_not_need_a_request(settings: Settings) -> None:
    message = await fault_of(settings, singletons=(Keeper,))
    assert "Try changing scope of `Keeper` to Scope.REQUEST" in message


async def test_two_providers_of_a_type_are_both_named(settings: Settings) -> None:
    provider = Provider(Scope.APP)
    provider.provide(Leaf)
    message = await raises_wiring_error(settings, slice_of(Leaf), module(provider=provider))
    assert re.search(r"Detected multiple factories for \(<class '\S+Leaf'>", message)


async def test_class_and_plain_provider_of_a_type_are_both_named(settings: Settings) -> None:
    slice_ = module("app.pools.dependencies", PoolDep=PoolDep, get_pool=get_pool)
    message = await raises_wiring_error(settings, slice_of(Pool), slice_)
    assert "Try removing factory tests/kit/lifecycle/test_providers.py: get_pool or Pool" in message


async def test_provider_may_override_another(settings: Settings) -> None:
    class RedProvider(Provider):
        leaf = provide(RedLeaf, provides=Leaf, scope=Scope.APP, override=True)

    slices = [slice_of(Leaf), module(RedProvider=RedProvider)]
    async with open_slice(settings, *slices) as root_scope, root_scope.new_scope() as scope:
        assert isinstance(await scope.resolve(Leaf), RedLeaf)


@pytest.mark.parametrize("provides", [AnyOf[RedLeaf, Leaf], WithParents[RedLeaf]])
async def test_override_replaces_one_of_several_types_of_an_object(
    settings: Settings, provides: type
) -> None:
    provider, fake = Provider(Scope.REQUEST), GreenLeaf()
    provider.provide(RedLeaf, provides=provides)
    slice_ = module(provider=provider)
    async with (
        open_slice(settings, slice_, overrides=[override(Leaf, fake)]) as root_scope,
        root_scope.new_scope() as scope,
    ):
        assert await scope.resolve(Leaf) is fake
        assert isinstance(await scope.resolve(RedLeaf), RedLeaf)


def leaves() -> ModuleType:
    """Return a slice that provides two implementations of a type, and a list of them."""
    provider = Provider(Scope.APP)
    provider.provide(RedLeaf, provides=Leaf)
    provider.provide(GreenLeaf, provides=Leaf)
    provider.collect(Leaf)
    provider.provide(Collection, scope=Scope.REQUEST)
    return module("app.leaves.dependencies", provider=provider)


async def leaves_of(settings: Settings, overrides: list[Override]) -> tuple[list[Leaf], list[Leaf]]:
    """Return what a list has in two scopes."""
    async with open_slice(settings, leaves(), overrides=overrides) as root_scope:
        found = []
        for _ in range(2):
            async with root_scope.new_scope() as scope:
                found.append((await scope.resolve(Collection)).leaves)
        return found[0], found[1]


async def test_list_has_all_implementations_of_a_type(settings: Settings) -> None:
    one, other = await leaves_of(settings, [])
    assert {type(each) for each in one} == {RedLeaf, GreenLeaf}
    assert one == other


async def test_override_is_alone_in_a_list(settings: Settings) -> None:
    fake = Leaf()
    assert await leaves_of(settings, [override(Leaf, fake)]) == ([fake], [fake])


async def test_every_member_of_a_list_of_singletons_is_made_at_start(settings: Settings) -> None:
    made: list[str] = []

    class LeafProvider(Provider):
        scope = Scope.APP

        @provide
        async def red(self) -> AsyncIterator[Leaf]:
            made.append("red")
            yield RedLeaf()

        @provide
        async def green(self) -> AsyncIterator[Leaf]:
            made.append("green")
            yield GreenLeaf()

    collecting = Provider()
    collecting.collect(Leaf)
    slice_ = module(LeafProvider=LeafProvider, collecting=collecting)
    async with open_slice(settings, slice_):
        assert sorted(made) == ["green", "red"]


async def test_type_in_a_list_is_not_asked_for_alone(settings: Settings) -> None:
    message = await raises_wiring_error(settings, leaves(), slice_of(Branch))
    assert "Cannot find factory for (Leaf" in message
