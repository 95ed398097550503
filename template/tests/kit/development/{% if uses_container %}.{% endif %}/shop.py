"""The classes of a slice, and what becomes of its `dependencies.py`."""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from starlette.requests import HTTPConnection

import app.kit.wiring
import app.wiring
from app.__main__ import SERVICE
from app.kit.development.plain_dependencies import rewrite
from app.kit.lifecycle import RootScope, WiringError, open_root_scope
from app.settings import Settings

ROOT = Path(__file__).parents[3]


class Pool:
    def __init__(self, name: str) -> None:
        self.name = name


class Gate: ...


class Cart:
    def __init__(self, pool: Pool, settings: Settings, *, gate: Gate) -> None:
        self.pool = pool
        self.gate = gate


class Receipt:
    def __init__(self, cart: Cart) -> None:
        self.cart = cart


class Visitor:
    def __init__(self, language: str) -> None:
        self.language = language


class Greeter:
    def __init__(self, connection: HTTPConnection) -> None: ...


class Till: ...


class Clerk:
    def __init__(self, till: Till) -> None: ...


class Guard:
    def __init__(self, gate: Gate) -> None: ...


class Fence(Gate):
    def __init__(self, gate: Gate) -> None: ...


class Lock:
    def __init__(self, gate: Gate, digits: int = 4) -> None: ...


class Fort:
    def __init__(self, gates: list[Gate]) -> None: ...


def make_gate() -> Iterator[Gate]:
    yield Gate()


@contextmanager
def open_gate() -> Iterator[Gate]:
    yield Gate()


PLAIN = '''\
"""How the shop's objects are made."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from app.kit.lifecycle import singleton
from app.wiring import SettingsDep
from tests.kit.development.shop import Cart, Gate, Greeter, Pool, Receipt, Visitor, open_gate

# A cart needs both below.


@singleton
async def get_pool(settings: SettingsDep) -> AsyncIterator[Pool]:
    """Yield the pool.

    It is named.
    """
    try:
        yield Pool(
            """
      deep
""",
        )
    finally:
        # Nothing to close.
        pass


PoolDep = Annotated[Pool, Depends(get_pool)]


@singleton
async def get_gate() -> AsyncIterator[Gate]:
    with open_gate() as gate:
        yield gate


GateDep = Annotated[Gate, Depends(get_gate)]


async def get_cart(pool: PoolDep, settings: SettingsDep, gate: GateDep) -> Cart:
    return Cart(pool, settings, gate=gate)


CartDep = Annotated[Cart, Depends(get_cart)]


async def get_receipt(cart: CartDep) -> Receipt:
    return Receipt(cart)


ReceiptDep = Annotated[Receipt, Depends(get_receipt, use_cache=False)]  # each time anew
"""Printed."""


async def get_visitor(
    connection: HTTPConnection,
) -> Visitor:
    return Visitor(connection.headers.get("Accept-Language", LANGUAGE))


VisitorDep = Annotated[Visitor, Depends(get_visitor)]


async def get_greeter(connection: HTTPConnection) -> Greeter:
    return Greeter(connection)


GreeterDep = Annotated[Greeter, Depends(get_greeter)]


LANGUAGE = "en"
CARTS = [Cart]
'''
"""What becomes of it under each container."""


def rewritten(
    folder: Path, settings: Settings, *, only: Sequence[str] = (), **sources: str
) -> list[str]:
    """Write the `dependencies.py` of some slices, rewrite some or all, and return the texts."""
    modules = [written(folder, name, text) for name, text in sources.items()]

    def opener(settings: Settings) -> AbstractAsyncContextManager[RootScope]:
        return open_root_scope(settings, [app.kit.wiring, app.wiring, *modules])

    service = replace(SERVICE, read_settings=lambda: settings, open_root_scope=opener)
    rewrite(service, [folder / f"app/{name}/dependencies.py" for name in only or sources])
    return [Path(str(each.__file__)).read_text() for each in modules]


def fault_of(folder: Path, settings: Settings, *, only: Sequence[str] = (), **sources: str) -> str:
    """Return why slices are not rewritten, of which none is."""
    with pytest.raises(WiringError) as raised:
        rewritten(folder, settings, only=only, **sources)
    for name, text in sources.items():
        assert (folder / f"app/{name}/dependencies.py").read_text() == text
    return str(raised.value)


def written(folder: Path, name: str, text: str) -> ModuleType:
    """Write the `dependencies.py` of a slice of a project, and import it."""
    file = folder.resolve() / f"app/{name}/dependencies.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    rules = f'extend = "{ROOT}/pyproject.toml"\nsrc = ["{ROOT}"]\n'
    (folder / "ruff.toml").write_text(rules)
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(f"app.{name}.dependencies", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
