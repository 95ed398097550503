"""A `dependencies.py` of providers is rewritten for plain `Depends`."""

from pathlib import Path

import pytest
from dishka import Provider, Scope, provide

from app.settings import Settings
from tests.kit.development.shop import PLAIN, Till, fault_of, rewritten

SHOP = '''\
"""How the shop's objects are made."""

from collections.abc import Iterator
from typing import Annotated

from dishka import Provider, Scope, provide
from starlette.requests import HTTPConnection

from app.kit.lifecycle import Resolve
from app.settings import Settings
from tests.kit.development.shop import Cart, Gate, Greeter, Pool, Receipt, Visitor, open_gate

ReceiptDep = Annotated[Receipt, Resolve(Receipt)]  # each time anew
"""Printed."""


class ShopProvider(Provider):
    # A cart needs both below.
    cart = provide(Cart, scope=Scope.REQUEST)

    @provide(scope=Scope.APP)
    def gate(self) -> Iterator[Gate]:
        with open_gate() as gate:
            yield gate

    @provide(scope=Scope.APP)
    def pool(self, settings: Settings) -> Iterator[Pool]:
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

    receipt = provide(Receipt, scope=Scope.REQUEST, cache=False)

    @provide(scope=Scope.REQUEST)
    async def visitor(
        self,
        connection: HTTPConnection,
    ) -> Visitor:
        return Visitor(connection.headers.get("Accept-Language", LANGUAGE))

    greeter = provide(Greeter, scope=Scope.REQUEST)


LANGUAGE = "en"
CARTS = [Cart]
CartDep = Annotated[Cart, Resolve(Cart)]
'''


def test_providers_become_plain_providers(tmp_path: Path, settings: Settings) -> None:
    assert rewritten(tmp_path, settings, shop=SHOP) == [PLAIN]
    assert rewritten(tmp_path, settings, shop=PLAIN) == [PLAIN]


HEAD = """\
from typing import Annotated

from dishka import AnyOf, Provider, Scope, decorate, provide
from dishka import collect as all_of
from httpx2 import AsyncClient

from app.kit.lifecycle import Resolve
from tests.kit.development.shop import Clerk, Gate, Guard, Till, make_gate
"""


def providing(*lines: str, below: str = "") -> str:
    """Return a slice with these lines in its `Provider`."""
    body = "".join(f"    {each}\n" for each in lines)
    return f"{HEAD}\n\nclass GateProvider(Provider):\n    scope = Scope.REQUEST\n{body}\n\n{below}"


TILLS = providing("till = provide(Till, scope=Scope.APP)")
GATE = "gate = provide(Gate)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            providing("gate = provide(Gate, provides=AnyOf[Gate, object])"),
            (
                "app/gates/dependencies.py: object is provided by a dishka Alias: instead, write "
                "`async def get_object(...) -> object` and "
                "`ObjectDep = Annotated[object, Depends(get_object)]`"
            ),
        ),
        (
            providing(GATE, "gates = all_of(Gate)"),
            (
                "list[Gate] is provided by a dishka FactoryUnionMode: instead, write "
                "`async def get_gate_list(...) -> list[Gate]` and "
            ),
        ),
        (
            providing(GATE, "@decorate", "def more(self, gate: Gate) -> Gate:", "    return gate"),
            "Gate is provided by a dishka Decorator: instead, write",
        ),
        (
            providing("gate = provide(Gate, override=True)"),
            "Gate has `when=`, `override=` or a component: instead, write",
        ),
        (
            providing("gate = provide(Gate, scope=Scope.APP, cache=False)"),
            "Gate lives as long as nothing plain does: make it once for the app, or for",
        ),
        (
            providing("gate = provide(Gate, scope=Scope.STEP)"),
            "Gate lives as long as nothing plain does",
        ),
        (
            providing("gate = provide(lambda self: Gate(), provides=Gate)"),
            "Gate is made by <bound method GateProvider.<lambda>",
        ),
        (
            providing("pass", below="gates = Provider(Scope.REQUEST)\ngates.provide(make_gate)"),
            "Gate has a generator, `make_gate`, of others",
        ),
        (
            providing(
                "@provide", "def gate(self) -> Gate:", "    return self.made", "made = Gate()"
            ),
            "Gate has a factory that needs `self`: instead, write",
        ),
        (
            providing(f"if HEAD:\n        {GATE}").replace("class", "HEAD = True\n\n\nclass"),
            "app/gates/dependencies.py:16 decides what is made: write a plain provider that does",
        ),
        (
            providing(GATE, below="ClientDep = Annotated[AsyncClient, Resolve(AsyncClient)]"),
            "would still have `Resolve(AsyncClient)`: import an alias",
        ),
        (providing(GATE, below="SCOPE = Scope.APP"), "would still have `from dishka import Scope`"),
        (providing(GATE, below="NAME = GateProvider.__name__"), "Undefined name `GateProvider`"),
        (providing(GATE, below="GateDep = 3"), "Gate needs the name `GateDep`: rename it"),
        (
            providing(GATE, below="def get_gate() -> None: ..."),
            "Gate needs the name `get_gate`: rename it",
        ),
    ],
)
def test_what_only_the_container_can_do_is_said_with_a_remedy(
    tmp_path: Path, settings: Settings, text: str, said: str
) -> None:
    assert said in fault_of(tmp_path, settings, tills=TILLS, gates=text)


def test_type_of_another_slice_needs_an_alias(tmp_path: Path, settings: Settings) -> None:
    clerks = providing("clerk = provide(Clerk)")
    message = fault_of(tmp_path, settings, only=["clerks"], tills=TILLS, clerks=clerks)
    assert "Till is what Clerk needs, and has no alias: write `TillDep = Annotated[" in message


def test_slices_that_need_each_other_are_named(tmp_path: Path, settings: Settings) -> None:
    guards = providing("guard = provide(Guard)", "till = provide(Till)")
    clerks = providing("clerk = provide(Clerk)", "gate = provide(Gate)")
    message = fault_of(tmp_path, settings, guards=guards, clerks=clerks)
    assert "app.guards.dependencies -> app.clerks.dependencies" in message


class TillProvider(Provider):
    """What a slice imports from here."""

    till = provide(Till, scope=Scope.APP)


def test_what_another_module_provides_is_not_rewritten(tmp_path: Path, settings: Settings) -> None:
    text = f"from {__name__} import Till, TillProvider\n"
    message = fault_of(tmp_path, settings, gates=text)
    assert message.startswith("app/gates/dependencies.py defines nothing of what it provides")


OTHERS = """\
async def make_other() -> Gate:
    return Gate()


MADE = make_other
"""


def test_factory_that_others_need_is_called(tmp_path: Path, settings: Settings) -> None:
    more = "more = Provider(Scope.REQUEST)\nmore.provide(make_other)\n"
    (text,) = rewritten(tmp_path, settings, gates=providing("pass", below=f"{OTHERS}{more}"))
    assert "async def get_gate() -> Gate:\n    return await make_other()\n" in text
    assert OTHERS in text
