"""Users for tests."""

from dataclasses import dataclass

from httpx2 import AsyncClient

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Person:
    email: str
    password: str

    async def sign_in(self, client: AsyncClient) -> str:
        """Return an access token."""
        form = {"username": self.email, "password": self.password}
        response = await client.post("/token", data=form)
        assert response.status_code == 200, response.text
        token: str = response.json()["access_token"]
        return token

    async def headers(self, client: AsyncClient) -> dict[str, str]:
        """Return the headers that authenticate this person."""
        return {"Authorization": f"Bearer {await self.sign_in(client)}"}


async def register(client: AsyncClient, email: str, password: str = PASSWORD) -> Person:
    """Register a user over HTTP."""
    response = await client.post("/register", json={"email": email, "password": password})
    assert response.status_code == 201, response.text
    return Person(email, password)
