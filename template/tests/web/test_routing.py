"""Routes in one list answer as they did where they were included."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, WebSocket
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from app.web.openapi import App


def get_word() -> str:
    return "word"


def refuse() -> None:
    raise HTTPException(418)


def nested(kind: type[FastAPI]) -> FastAPI:
    """Return an app with routers in routers, and all that they hand down."""
    inner = APIRouter(prefix="/inner", tags=["inner"], responses={404: {"description": "None"}})

    @inner.get("/{number}", status_code=201, summary="A number", deprecated=True)
    async def show(number: int, word: Annotated[str, Depends(get_word)]) -> dict[str, str | int]:
        """Say it with a word."""
        return {"number": number, "word": word}

    @inner.websocket("/socket")
    async def socket(websocket: WebSocket, word: Annotated[str, Depends(get_word)]) -> None:
        await websocket.accept()
        await websocket.send_text(word)
        await websocket.close()

    closed = APIRouter(dependencies=[Depends(refuse)])

    @closed.get("/closed", include_in_schema=False)
    async def never() -> None: ...

    outer = APIRouter(prefix="/outer", tags=["outer"])
    outer.include_router(inner)
    outer.include_router(closed)
    outer.get("/direct", response_model_exclude_none=True)(show)
    mounted = APIRouter()
    mounted.routes.append(Mount("/files", PlainTextResponse("a file")))
    app = kind(responses={"default": {"description": "Problem"}})
    app.include_router(outer)
    app.include_router(mounted)
    app.include_router(outer, prefix="/again")
    return app


def test_the_document_is_the_same() -> None:
    assert nested(App).openapi()["paths"] == nested(FastAPI).openapi()["paths"]


def test_what_routers_hand_down_holds() -> None:
    app = nested(App)
    client = TestClient(app)
    answer = client.get("/outer/inner/7")
    assert (answer.status_code, answer.json()) == (201, {"number": 7, "word": "word"})
    assert client.get("/outer/inner/x").status_code == 422
    assert client.post("/outer/inner/7").status_code == 405
    assert client.get("/outer/closed").status_code == 418
    assert client.get("/files/any").text == "a file"
    with client.websocket_connect("/outer/inner/socket") as websocket:
        assert websocket.receive_text() == "word"
    app.dependency_overrides[get_word] = lambda: "another"
    assert client.get("/outer/inner/7").json()["word"] == "another"
    with client.websocket_connect("/outer/inner/socket") as websocket:
        assert websocket.receive_text() == "another"


def test_a_frontend_is_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>hello")
    router = APIRouter()
    router.frontend("/", directory=tmp_path)
    app = App()
    app.include_router(router)
    assert TestClient(app).get("/").text == "<p>hello"


def test_the_routes_of_the_service_are_in_its_own_list(app: FastAPI) -> None:
    assert all(hasattr(route, "path") for route in app.routes)
