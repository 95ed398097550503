"""Plain FastAPI with nothing around it; run inside of a rendered project.

python bare.py PORT

`BENCH_ROUTES` is the number of further routes; with `BENCH_ROUTER` they are in a router.
"""

import os
import sys

import uvicorn
from fastapi import APIRouter, FastAPI

app = FastAPI()


@app.get("/livez")
@app.get("/bench/scoped")
async def livez() -> dict[str, str]:
    return {"status": "ok"}


router = APIRouter() if "BENCH_ROUTER" in os.environ else app.router
for number in range(int(os.environ.get("BENCH_ROUTES", "0"))):
    router.get(f"/bench/routes/{number}", operation_id=f"route_{number}")(livez)
if router is not app.router:
    app.include_router(router)

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
