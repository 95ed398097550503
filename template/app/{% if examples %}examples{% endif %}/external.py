"""An external API: a shared HTTP client, a deadline, few retries, and 503 when it is down."""

from fastapi import APIRouter
from pydantic import BaseModel

from app.examples.dependencies import ExternalApiDep

router = APIRouter()


class ExternalHealth(BaseModel):
    status: int


@router.get("/external-health")
async def external_health(api: ExternalApiDep) -> ExternalHealth:
    return ExternalHealth(status=await api.check_health())
