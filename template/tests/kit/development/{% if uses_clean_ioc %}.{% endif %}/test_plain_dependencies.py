"""A `dependencies.py` that registers is rewritten for plain `Depends`."""

from pathlib import Path

import pytest
from clean_ioc import Lifespan

from app.kit.lifecycle import RootScope
from app.settings import Settings
from tests.kit.development.shop import PLAIN, Till, fault_of, rewritten

SHOP = '''\
"""How the shop's objects are made."""

from collections.abc import Iterator
from typing import Annotated

from clean_ioc import Lifespan
from starlette.requests import HTTPConnection

from app.kit.lifecycle import Resolve, RootScope
from app.settings import Settings
from tests.kit.development.shop import Cart, Gate, Greeter, Pool, Receipt, Visitor, open_gate

ReceiptDep = Annotated[Receipt, Resolve(Receipt)]  # each time anew
"""Printed."""


def register(container: RootScope) -> None:
    # A cart needs both below.
    container.register(Cart, lifespan=Lifespan.scoped)
    container.register(Gate, factory=open_gate, lifespan=Lifespan.singleton)
    container.register(Pool, factory=make_pool, lifespan=Lifespan.singleton)
    container.register(Receipt, lifespan=Lifespan.transient)
    container.register(Visitor, factory=make_visitor, lifespan=Lifespan.scoped)
    container.register(Greeter, lifespan=Lifespan.scoped)


def make_pool(settings: Settings) -> Iterator[Pool]:
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


async def make_visitor(
    connection: HTTPConnection,
) -> Visitor:
    return Visitor(connection.headers.get("Accept-Language", LANGUAGE))


LANGUAGE = "en"
CARTS = [Cart]
CartDep = Annotated[Cart, Resolve(Cart)]
'''


def test_registrations_become_plain_providers(tmp_path: Path, settings: Settings) -> None:
    assert rewritten(tmp_path, settings, shop=SHOP) == [PLAIN]
    assert rewritten(tmp_path, settings, shop=PLAIN) == [PLAIN]


HEAD = """\
from typing import Annotated

from clean_ioc import Lifespan
from httpx2 import AsyncClient

from app.kit.lifecycle import Resolve, RootScope
from tests.kit.development.shop import Clerk, Fence, Fort, Gate, Guard, Lock, Till, make_gate
"""


def registering(*lines: str, below: str = "") -> str:
    """Return a slice with these lines in its `register`."""
    body = "".join(f"    {each}\n" for each in lines)
    return f"{HEAD}\n\ndef register(container: RootScope) -> None:\n{body}\n\n{below}"


TILLS = registering("container.register(Till, lifespan=Lifespan.singleton)")
FORT = "container.register(Fort, lifespan=Lifespan.scoped)"
GATE = "container.register(Gate, lifespan=Lifespan.scoped)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            registering("container.register(Gate, name='north', lifespan=Lifespan.scoped)"),
            (
                "app/gates/dependencies.py: Gate is registered with `name=`: instead, write "
                "`async def get_gate(...) -> Gate` and "
                "`GateDep = Annotated[Gate, Depends(get_gate)]`"
            ),
        ),
        (
            registering("container.register(Gate)"),
            "Gate is made once per graph: make it scoped or transient",
        ),
        (
            registering(GATE, "container.register_decorator(Gate, Fence)"),
            "Gate is given to `register_decorator`: instead, write",
        ),
        (
            registering(GATE, GATE, FORT),
            "Gate is provided more than once here: instead, write",
        ),
        (
            registering(
                "container.register(Gate, factory=lambda: Gate(), lifespan=Lifespan.scoped)"
            ),
            "Gate is made by <function register.<locals>.<lambda>",
        ),
        (
            registering("container.register(Gate, factory=make_gate, lifespan=Lifespan.scoped)"),
            "Gate has a generator, `make_gate`, of others",
        ),
        (
            registering(f"if HEAD:\n        {GATE}", below="HEAD = True"),
            "app/gates/dependencies.py:11 decides what is made: write a plain provider that does",
        ),
        (
            registering(GATE, FORT),
            (
                "list[Gate] is what Fort needs, and has no alias: instead, write "
                "`async def get_gate_list(...) -> list[Gate]` and "
                "`GateListDep = Annotated[list[Gate], Depends(get_gate_list)]`"
            ),
        ),
        (
            registering(GATE, below="ClientDep = Annotated[AsyncClient, Resolve(AsyncClient)]"),
            "would still have `Resolve(AsyncClient)`: import an alias",
        ),
        (registering(GATE, below="LIFESPAN = Lifespan.scoped"), "have `from clean_ioc import"),
        (registering(GATE, below="KEPT = register"), "Undefined name `register`"),
        (
            registering(GATE, below="GateDep = 3"),
            "Gate needs the name `GateDep`: rename it",
        ),
        (
            registering(GATE, below="def get_gate() -> None: ..."),
            "Gate needs the name `get_gate`: rename it",
        ),
    ],
)
def test_what_only_the_container_can_do_is_said_with_a_remedy(
    tmp_path: Path, settings: Settings, text: str, said: str
) -> None:
    assert said in fault_of(tmp_path, settings, tills=TILLS, gates=text)


def test_type_of_another_slice_needs_an_alias(tmp_path: Path, settings: Settings) -> None:
    clerks = registering("container.register(Clerk, lifespan=Lifespan.scoped)")
    message = fault_of(tmp_path, settings, only=["clerks"], tills=TILLS, clerks=clerks)
    assert "Till is what Clerk needs, and has no alias: write `TillDep = Annotated[" in message
    tills, clerks = rewritten(tmp_path, settings, tills=TILLS, clerks=clerks)
    assert "from app.tills.dependencies import TillDep\n" in clerks
    assert "async def get_clerk(till: TillDep) -> Clerk:\n    return Clerk(till)\n" in clerks
    assert "TillDep = Annotated[Till, Depends(get_till)]\n" in tills


def test_default_of_a_constructor_stays(tmp_path: Path, settings: Settings) -> None:
    lock = "container.register(Lock, lifespan=Lifespan.scoped)"
    (text,) = rewritten(tmp_path, settings, gates=registering(GATE, lock))
    assert "async def get_lock(gate: GateDep) -> Lock:\n    return Lock(gate)\n" in text


def test_slices_that_need_each_other_are_named(tmp_path: Path, settings: Settings) -> None:
    guards = registering(
        "container.register(Guard, lifespan=Lifespan.scoped)",
        "container.register(Till, lifespan=Lifespan.scoped)",
    )
    clerks = registering(
        "container.register(Clerk, lifespan=Lifespan.scoped)",
        "container.register(Gate, lifespan=Lifespan.scoped)",
    )
    message = fault_of(tmp_path, settings, guards=guards, clerks=clerks)
    assert "app.guards.dependencies -> app.clerks.dependencies" in message


def register(container: RootScope) -> None:
    """Register for a slice that imports this."""
    container.register(Till, lifespan=Lifespan.scoped)


def test_what_another_module_registers_is_not_rewritten(tmp_path: Path, settings: Settings) -> None:
    text = f"from {__name__} import Till, register\n"
    message = fault_of(tmp_path, settings, gates=text)
    assert message.startswith("app/gates/dependencies.py defines nothing of what it provides")


OTHERS = """\
async def make_other() -> Gate:
    return Gate()


MADE = make_other
"""


def test_factory_that_others_need_is_called(tmp_path: Path, settings: Settings) -> None:
    call = "container.register(Gate, factory=make_other, lifespan=Lifespan.scoped)"
    (text,) = rewritten(tmp_path, settings, gates=registering(call, below=OTHERS))
    assert "async def get_gate() -> Gate:\n    return await make_other()\n" in text
    assert OTHERS in text
