"""sqladmin shows, adds and edits users."""

from typing import ClassVar

from fastapi import FastAPI
from sqladmin import Admin, ModelView
from sqlalchemy import select

from app.kit.database import Database, open_engines
from app.settings import Settings
from app.users.models import User
from tests.kit.helpers import open_client

FORM = {"email": "grace@example.com", "password_hash": "none", "full_name": "Grace Hopper"}


class UserAdmin(ModelView, model=User):
    column_list: ClassVar = [User.email, User.full_name]
    form_columns: ClassVar = [User.email, User.password_hash, User.full_name, User.is_admin]


async def test_users_are_shown_added_and_edited(app: FastAPI, settings: Settings) -> None:
    async with open_engines(settings) as engines:
        Admin(app, engines.writing).add_view(UserAdmin)
        async with open_client(app) as client:
            created = await client.post("/admin/user/create", data=FORM)
            assert created.status_code == 302, created.text
            user = await Database(engines).scalar_one_or_none(select(User))
            assert user is not None
            assert user.full_name == "Grace Hopper"
            assert not user.is_admin
            edited = await client.post(
                f"/admin/user/edit/{user.id}", data={**FORM, "full_name": "G. H.", "is_admin": "y"}
            )
            assert edited.status_code == 302, edited.text
            page = await client.get("/admin/user/list")
            assert "grace@example.com" in page.text
            assert "G. H." in page.text
        changed = await Database(engines).scalar_one_or_none(select(User))
        assert changed is not None
        assert changed.is_admin
        assert changed.created_at == user.created_at
