"""A broadcast that is deferred with `after_commit`."""

import pytest

from app.kit.database import Database
from app.kit.websockets import Hub
from tests.kit.websockets.fixtures import Serve
from tests.kit.websockets.talk import Said


async def test_deferred_broadcast_follows_the_commit(serve: Serve) -> None:
    async with serve() as server, server.root_scope.new_scope() as scope:
        client = await server.join()
        db = await scope.resolve(Database)
        hub = await scope.resolve(Hub)

        async def add(text: str, *, fails: bool = False) -> None:
            said = Said(room="lobby", sender="", text=text)
            async with db.transaction():
                db.after_commit(lambda: hub.broadcast("lobby", said))
                await hub.broadcast("lobby", said.model_copy(update={"text": "within"}))
                if fails:
                    raise LookupError

        await add("committed")
        with pytest.raises(LookupError):
            await add("rolled back", fails=True)
        await add("committed again")
        texts = ["within", "committed", "within", "within", "committed again"]
        assert await client.receive_texts(5) == texts
