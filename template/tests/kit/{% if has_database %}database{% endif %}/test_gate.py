"""Connections are handed out first come, first served."""

import asyncio

import pytest

from app.kit.database.gate import Gate


async def test_waiting_callers_come_before_newcomers() -> None:
    gate = Gate(1, timeout=5)
    entered: list[str] = []

    async def enter(name: str) -> None:
        async with gate:
            entered.append(name)
            await asyncio.sleep(0)

    async with gate:
        waiting = [asyncio.create_task(enter(f"waiting {number}")) for number in range(3)]
        await asyncio.sleep(0)
    await enter("newcomer")
    await asyncio.gather(*waiting)
    assert entered == ["waiting 0", "waiting 1", "waiting 2", "newcomer"]


async def test_wait_times_out_and_frees_its_place() -> None:
    gate = Gate(2, timeout=0.05)
    async with gate, gate:
        with pytest.raises(TimeoutError):
            await gate.acquire()
    async with gate, gate:
        pass


async def test_an_error_returns_the_place() -> None:
    gate = Gate(1, timeout=0.05)
    for _ in range(2):
        with pytest.raises(ValueError, match="inside"):
            async with gate:
                raise ValueError("inside")
