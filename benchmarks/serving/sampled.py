"""Another of these scripts, its stacks sampled each millisecond of CPU, in a rendered project.

python sampled.py SCRIPT COUNTS PORT

SIGUSR2 begins; SIGUSR1 writes to the file COUNTS how many samples each layer has.
"""

import json
import os
import re
import runpy
import signal
import sys
from types import FrameType

LAYERS = {
    "asyncpg": r"/asyncpg(/|\.py)",
    "SQLAlchemy": "/sqlalchemy/",
    "FastAPI, Starlette, Pydantic": "/(fastapi|starlette|pydantic)/",
    "Clean IoC": "/clean_ioc/",
    "dishka": "/dishka/|^<get_",
    "the token": "/jwt/",
    "logging": "/logging/|/kit/logs",
    "uvicorn and its event loop": "/(uvicorn|uvloop|asyncio)/",
    "the kit": f"^{os.getcwd()}/app/kit/",
    "the code itself": f"^{os.getcwd()}/app/|/serving/(?!sampled)",
}
"""What the path of a frame's file says. A sample is its deepest frame's that has a layer."""

script, target, port = sys.argv[1:]
_layers: dict[str, str | None] = {}
counts = dict.fromkeys(LAYERS, 0)


def layer_of(path: str) -> str | None:
    return next((name for name, pattern in LAYERS.items() if re.search(pattern, path)), None)


def sample(_: int, frame: FrameType | None) -> None:
    while frame is not None:
        path = frame.f_code.co_filename
        if path not in _layers:
            _layers[path] = layer_of(path)
        if (layer := _layers[path]) is not None:
            counts[layer] += 1
            return
        frame = frame.f_back


def begin(*_: object) -> None:
    counts.update(dict.fromkeys(LAYERS, 0))


def write(*_: object) -> None:
    with open(f"{target}.part", "w") as file:
        json.dump(counts, file)
    os.rename(f"{target}.part", target)


signal.signal(signal.SIGUSR2, begin)
signal.signal(signal.SIGUSR1, write)
signal.signal(signal.SIGPROF, sample)
signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
sys.argv = [script, port]
runpy.run_path(script, run_name="__main__")
