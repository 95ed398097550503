"""Greets."""

from fastapi import APIRouter
from pydantic import BaseModel

from app.greetings.dependencies import GreetingServiceDep
from app.wiring import Fakes

router = APIRouter(tags=["greetings"])
NO_FAKES: Fakes = ()


class Greeting(BaseModel):
    text: str


@router.get("/greetings/{name}")
async def get_greeting(name: str, greetings: GreetingServiceDep) -> Greeting:
    return Greeting(text=greetings.greet(name))
