"""The check of the container's graph."""

import re
from typing import Annotated

import pytest
from clean_ioc import Lifespan, Scope
from fastapi import Depends
from starlette.requests import HTTPConnection

from app.kit.lifecycle import Override, Resolve, RootScope, override
from app.settings import Settings
from tests.kit.lifecycle.test_providers import (
    Pool,
    PoolDep,
    get_pool,
    module,
    open_slice,
    raises_wiring_error,
)


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


class Collection:
    def __init__(self, leaves: list[Leaf]) -> None:
        self.leaves = leaves


class Keeper:
    def __init__(self, connection: HTTPConnection) -> None: ...


class Locator:
    def __init__(self, scope: Scope) -> None: ...


async def fault_of(settings: Settings, *classes: type) -> str:
    """Return the message of the error with which a service with these classes does not start."""

    def register(container: RootScope) -> None:
        for each in classes:
            container.register(each)

    return await raises_wiring_error(settings, module(register=register))


async def test_missing_type_is_named_with_its_dependent(settings: Settings) -> None:
    message = await fault_of(settings, Tree, Branch)
    assert "test_graph.py: Branch needs Leaf, which nothing provides: provide it in" in message


async def test_alias_without_a_provider_is_named(settings: Settings) -> None:
    slice_ = module("app.trees.dependencies", LeafDep=Annotated[Leaf, Resolve(Leaf)])
    message = await raises_wiring_error(settings, slice_)
    assert "app.trees.dependencies.LeafDep needs Leaf, which nothing provides" in message


async def test_cycle_is_named(settings: Settings) -> None:
    message = await fault_of(settings, Hen, Egg)
    assert re.search(
        r"a cycle: \S+ (Hen -> \S+ Egg -> \S+ Hen|Egg -> \S+ Hen -> \S+ Egg)$", message
    )


async def test_cycle_of_a_class_and_a_plain_provider_is_named(settings: Settings) -> None:
    async def get_leaf(tree: Annotated[Tree, Resolve(Tree)]) -> Leaf:
        return Leaf()

    def register(container: RootScope) -> None:
        container.register(Tree)
        container.register(Branch)

    slice_ = module(register=register, LeafDep=Annotated[Leaf, Depends(get_leaf)])
    assert "a cycle: " in await raises_wiring_error(settings, slice_)


async def test_cycle_through_a_list_is_named(settings: Settings) -> None:
    class Part:
        def __init__(self, whole: "Whole") -> None: ...

    class Whole:
        def __init__(self, parts: list[Part]) -> None: ...

    Part.__init__.__annotations__["whole"] = Whole
    assert "a cycle: " in await fault_of(settings, Part, Whole)


async def test_value_given_at_registration_is_not_looked_for(settings: Settings) -> None:
    def register(container: RootScope) -> None:
        container.register(Branch, dependency_config={"leaf": Leaf()})

    async with open_slice(settings, module(register=register)):
        pass


async def test_singleton_must_not_keep_a_scoped_object(settings: Settings) -> None:
    def register(container: RootScope) -> None:
        container.register(Leaf, lifespan=Lifespan.scoped)
        container.register(Branch)
        container.register(Tree, lifespan=Lifespan.singleton)

    message = await raises_wiring_error(settings, module(register=register))
    assert re.search(r"the singleton \S+ Tree would keep \S+ Leaf of a scope: make both", message)


async def test_singleton_must_not_keep_a_list_of_scoped_objects(settings: Settings) -> None:
    def register(container: RootScope) -> None:
        container.register(Leaf, lifespan=Lifespan.scoped)
        container.register(Collection, lifespan=Lifespan.singleton)

    message = await raises_wiring_error(settings, module(register=register))
    assert re.search(r"the singleton \S+ Collection would keep \S+ Leaf of a scope", message)


async def test_singleton_must_not_need_a_request(settings: Settings) -> None:
    def register(container: RootScope) -> None:
        container.register(Keeper, lifespan=Lifespan.singleton)

    with pytest.raises(TypeError, match="there is none here"):
        async with open_slice(settings, module(register=register)):
            pass


async def test_scopes_of_the_library_are_not_injected(settings: Settings) -> None:
    assert "Locator needs Scope" in await fault_of(settings, Locator)


async def test_two_registrations_of_a_type_are_both_named(settings: Settings) -> None:
    def register(container: RootScope) -> None:
        container.register(Leaf)

    slices = [module("app.trees.dependencies", register=register)]
    slices += [module("app.woods.dependencies", register=register)]
    message = await raises_wiring_error(settings, *slices)
    assert (
        "Leaf has two providers, app.trees.dependencies and app.woods.dependencies: remove"
        in message
    )


async def test_registration_and_plain_provider_of_a_type_are_both_named(
    settings: Settings,
) -> None:
    def register(container: RootScope) -> None:
        container.register(Pool)

    slice_ = module("app.pools.dependencies", register=register, PoolDep=PoolDep, g=get_pool)
    message = await raises_wiring_error(settings, slice_)
    assert "Pool has two providers, app.pools.dependencies and " in message
    assert "get_pool" in message


async def test_names_and_parents_tell_registrations_apart(settings: Settings) -> None:
    def register(container: RootScope) -> None:
        container.register(Leaf)
        container.register(Leaf, name="red")
        container.register(Leaf, parent_node_filter=lambda node: node.service_type is Tree)

    async with open_slice(settings, module(register=register)):
        pass


class RedLeaf(Leaf): ...


class GreenLeaf(Leaf): ...


def register_leaves(container: RootScope) -> None:
    container.register(Leaf, RedLeaf, lifespan=Lifespan.singleton)
    container.register(Leaf, GreenLeaf, lifespan=Lifespan.singleton)
    container.register(Collection, lifespan=Lifespan.scoped)


async def leaves_of(settings: Settings, overrides: list[Override]) -> tuple[list[Leaf], list[Leaf]]:
    """Return what a list has in two scopes."""
    slice_ = module(register=register_leaves)
    async with open_slice(settings, slice_, overrides=overrides) as root_scope:
        found = []
        for _ in range(2):
            async with root_scope.new_scope() as scope:
                found.append((await scope.resolve(Collection)).leaves)
        return found[0], found[1]


async def test_list_has_all_registrations_of_a_type(settings: Settings) -> None:
    one, other = await leaves_of(settings, [])
    assert {type(each) for each in one} == {RedLeaf, GreenLeaf}
    assert one == other


async def test_list_may_be_empty(settings: Settings) -> None:
    def register(container: RootScope) -> None:
        container.register(Collection, lifespan=Lifespan.singleton)

    async with (
        open_slice(settings, module(register=register)) as root_scope,
        root_scope.new_scope() as scope,
    ):
        assert (await scope.resolve(Collection)).leaves == []


async def test_override_is_alone_in_a_list(settings: Settings) -> None:
    fake = Leaf()
    assert await leaves_of(settings, [override(Leaf, fake)]) == ([fake], [fake])


async def test_every_member_of_a_list_of_singletons_is_made_at_start(settings: Settings) -> None:
    made: list[str] = []

    async def make_red() -> Leaf:
        made.append("red")
        return RedLeaf()

    async def make_green() -> Leaf:
        made.append("green")
        return GreenLeaf()

    def register(container: RootScope) -> None:
        container.register(Leaf, factory=make_red, lifespan=Lifespan.singleton)
        container.register(Leaf, factory=make_green, lifespan=Lifespan.singleton)
        container.register(Collection)

    async with open_slice(settings, module(register=register)):
        assert sorted(made) == ["green", "red"]


async def test_type_in_a_list_is_not_asked_for_alone(settings: Settings) -> None:
    def register(container: RootScope) -> None:
        register_leaves(container)
        container.register(Branch)

    message = await raises_wiring_error(settings, module(register=register))
    assert "Leaf has two providers" in message
