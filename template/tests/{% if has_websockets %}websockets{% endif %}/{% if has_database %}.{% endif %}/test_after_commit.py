"""A broadcast that is put off with `after_commit`."""

import pytest

from app.database import Transaction
from app.websockets.manager import ConnectionManager
from app.websockets.messages import Said
from tests.websockets.fixtures import Serve


async def test_it_goes_out_once_the_commit_stands(serve: Serve) -> None:
    async with serve() as server, server.root_scope.new_scope() as scope:
        client = await server.join()
        transaction = await scope.resolve(Transaction)
        connections = await scope.resolve(ConnectionManager)

        async def add(text: str, *, fails: bool = False) -> None:
            said = Said(room="lobby", sender="", text=text)
            async with transaction:
                transaction.after_commit(lambda: connections.broadcast("lobby", said))
                await connections.broadcast("lobby", said.model_copy(update={"text": "within"}))
                if fails:
                    raise LookupError

        await add("committed")
        with pytest.raises(LookupError):
            await add("rolled back", fails=True)
        await add("committed, too")
        texts = ["within", "committed", "within", "within", "committed, too"]
        assert await client.receive_texts(5) == texts
