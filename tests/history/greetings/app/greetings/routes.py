"""HTTP routes for greetings."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.greetings.dependencies import GreetingServiceDep
from app.wiring import LanguageDep

router = APIRouter(tags=["greetings"])


class Greeting(BaseModel):
    text: str


@router.get("/greetings/{name}")
async def get_greeting(
    name: str, service: GreetingServiceDep, language: LanguageDep, response: Response
) -> Greeting:
    response.headers["Content-Language"] = language
    return Greeting(text=service.greet(name))
