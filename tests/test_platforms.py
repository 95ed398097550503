"""Windows, macOS and Alpine Linux, as far as they can be tested elsewhere."""

from pathlib import Path

import pytest

from tests.conftest import Rendered, as_parameter
from tests.projects import run
from tests.variants import Answers, focused

LARGE = [
    as_parameter(each)
    for each in focused(
        "lifecycle", database="postgresql", cache="redis", websockets="redis", jobs="redis"
    )
]
# streaQ needs a package that has no wheel, and no compiler either.
WHEELS = [
    as_parameter(each)
    for each in focused(
        lifecycle="depends", database="postgresql", cache="redis", jobs="postgresql"
    )
]
for_each_lifecycle = pytest.mark.parametrize("variant", LARGE, indirect=True)

# Libraries are imported as they are here; then the service, as on Windows.
IMPORT = """
import pkgutil, sys

def import_service():
    import app
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name not in ("app.__main__", "app.main"):  # which need settings
            __import__(module.name)

class Missing:
    def find_spec(self, name, *_):
        if name in {"fcntl", "grp", "pwd", "resource", "termios"}:
            raise ModuleNotFoundError(f"{name} is not on Windows")

import_service()
for name in [*sys.modules]:
    if name.split(".")[0] in {"app", "fcntl", "grp", "pwd", "resource", "termios"}:
        del sys.modules[name]
sys.meta_path.insert(0, Missing())
sys.platform = "win32"
import_service()
assert "app.kit.development.server" in sys.modules
"""

# Alpine Linux has no wheels of the servers.
PLATFORMS = {
    "x86_64-unknown-linux-musl": ("dev",),
    "aarch64-unknown-linux-gnu": ("dev", "servers"),
    "aarch64-apple-darwin": ("dev", "servers"),
    "x86_64-pc-windows-msvc": ("dev", "servers"),
}


@for_each_lifecycle
def test_service_can_be_imported_on_windows(installed: Rendered, variant: Answers) -> None:
    run(installed(**variant), "uv", "run", "python", "-c", IMPORT)


@pytest.mark.parametrize("variant", WHEELS, indirect=True)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_package_has_a_wheel(rendered: Rendered, variant: Answers, platform: str) -> None:
    project: Path = rendered(**variant)
    groups = [f"--group={group}" for group in PLATFORMS[platform]]
    wheels = ("--only-binary", ":all:", "--python-platform", platform)
    run(project, "uv", "pip", "compile", "--quiet", "pyproject.toml", *groups, *wheels)
