"""Plain FastAPI with nothing around it; run inside of a rendered project.

python bare.py PORT
"""

import os
import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/livez")
@app.get("/bench/scoped")
async def livez() -> dict[str, str]:
    return {"status": "ok"}


for number in range(int(os.environ.get("BENCH_ROUTES", "0"))):
    app.get(f"/bench/routes/{number}", operation_id=f"route_{number}")(livez)

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
