"""Programs of Debian and Ubuntu for the template's own tests: installed, or unpacked."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on everybody's PATH
_LIBRARIES = ("usr/lib/*-linux-*", "lib/*-linux-*")  # of one architecture


@dataclass(frozen=True)
class Program:
    """Where a program is, and what its environment needs beside the caller's."""

    path: str
    environment: dict[str, str] = field(default_factory=dict)


class NoProgram(Exception):
    """The program is not installed and cannot be unpacked; the message says what to install."""


def program(name: str, package: str, cache: Path) -> Program:
    """Return a program of a package: the one that is installed, else one unpacked into `cache`.

    Raise NoProgram.
    """
    if found := _installed(name):
        return Program(found)
    folder = cache / package
    try:
        if not folder.is_dir():
            _unpack(package, folder)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()
        raise NoProgram(
            f"{name} is not installed and cannot be downloaded: install it, "
            f"with `apt-get update && apt-get install {package}` or the like ({said})"
        ) from error
    [path] = folder.glob(f"usr/*bin/{name}")
    libraries = [str(each) for pattern in _LIBRARIES for each in folder.glob(pattern)]
    return Program(str(path), {"LD_LIBRARY_PATH": os.pathsep.join(libraries)})


def _installed(name: str) -> str | None:
    places = [os.environ.get("PATH", os.defpath), *_SYSTEM]
    return shutil.which(name, path=os.pathsep.join(places))


def _unpack(package: str, folder: Path) -> None:
    """Download a package and the libraries that the machine lacks; unpack them into a folder."""
    unfinished = folder.with_name(f"{folder.name}-{os.getpid()}")
    downloads = unfinished / "downloads"
    downloads.mkdir(parents=True)
    try:
        _run("apt-get", "download", package, *_missing(package), cwd=downloads)
        for archive in downloads.glob("*.deb"):
            _run("dpkg", "--extract", str(archive), str(unfinished))
        shutil.rmtree(downloads)
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was first
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _missing(package: str) -> list[str]:
    """Return the libraries that apt would install with a package."""
    simulated = _run("apt-get", "install", "--simulate", "--no-install-recommends", package)
    lines = (line.split() for line in simulated.splitlines())
    names = [words[1] for words in lines if words[:1] == ["Inst"]]
    return [name for name in names if name.startswith("lib")]


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C"},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout
