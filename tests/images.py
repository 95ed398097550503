"""Builds and runs what a Dockerfile and a compose file say, in folders instead of containers.

Commands, user and environment are the same, so missing files, read-only folders and wrong paths
are found without a Docker engine. The base images and what an engine itself does (capabilities,
networks, volumes) are not tested.

Knows the instructions and options that the template uses; any other raises ValueError.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.projects import environment

BASE = re.compile(r"python:3\.\d+-slim-trixie")
"""An image with nothing but Python."""
UV = "ghcr.io/astral-sh/uv:"


@dataclass
class Image:
    """A stage: `root` stands for `/`; it is made of `context`."""

    root: Path
    context: Path
    workdir: str = "/"
    user: str = "0:0"
    env: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    has_uv: bool = False

    def path(self, inside: str) -> Path:
        """Return the local path for a path of the image."""
        return Path(f"{self.root}{Path(self.workdir, inside)}")

    def here(self, text: str) -> str:
        """Return a text with the image's paths replaced by local ones."""
        return re.sub(r"(?<![\w.}])/app\b", f"{self.root}/app", text)

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a process: the image's, with paths to Python and uv."""
        outer = environment()
        tools = self.root.with_name("tools")
        tools.mkdir(exist_ok=True)
        for name in ("python", "python3"):
            if not (tools / name).exists():
                (tools / name).symlink_to(outer["UV_PYTHON"])
        system = "/usr/bin:/bin"
        if self.has_uv:
            uv = Path(_found("uv", outer["PATH"])).parent
            system = f"{uv}:{system}"
        # Commands that install packages need the index.
        needed = ("UV_", "PIP_", "SSL_", "XDG_", "HOME") if self.has_uv else ("UV_PYTHON",)
        kept = {name: value for name, value in outer.items() if name.startswith(needed)}
        own = {}
        for name, value in self.env.items():
            own[name] = self.here(value).replace("$PATH", f"{tools}:{system}")
        return {"PATH": f"{tools}:{system}", "HOME": "/nonexistent", **kept, **own, **settings}

    def process(self, command: list[str]) -> list[str]:
        """Return the command that runs another as the image's user, when run by root on Linux."""
        user, _, group = self.user.partition(":")
        if user == "0" or os.geteuid() != 0 or sys.platform != "linux":
            return command
        # It may read what an image would have elsewhere: Python itself may lie in root's home.
        read = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
        return ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", *read, *command]

    def start(
        self, command: list[str], settings: Mapping[str, str], **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a command as the image would."""
        return subprocess.Popen(
            self.process(command),
            cwd=self.path(self.workdir),
            env=self.environment(settings),
            stdin=subprocess.DEVNULL,
            **options,
        )

    def run(self, command: list[str], settings: Mapping[str, str]) -> str:
        """Run a command; return its output. Fail with all of it."""
        process = self.start(command, settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = process.communicate(timeout=300)[0].decode()
        assert process.returncode == 0, (
            f"{shlex.join(command)} exited {process.returncode}:\n{output}"
        )
        return output


def _found(name: str, path: str) -> str:
    found = shutil.which(name, path=path)
    assert found, f"{name} is not on PATH"
    return found


def build(context: Path, folder: Path) -> Image:
    """Build the image of a project in `folder`; return its last stage."""
    text = (context / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    sent = sent_files(context)
    stages: dict[str, Image] = {}
    image = Image(folder, context)
    name = ""
    for line in lines:
        instruction, _, rest = line.partition(" ")
        rest = rest.strip()
        if instruction == "FROM":
            # Each stage lies at the same place while it is made, as it does in an engine.
            if name:
                image.root = image.root.rename(folder / name)
            base, _, name = rest.partition(" AS ")
            _known(bool(BASE.fullmatch(base)) or base.startswith(UV), line)
            image = stages[name] = Image(folder / "image", context)
            image.root.mkdir(parents=True)
            if base.startswith(UV):
                (image.root / "uv").touch()
        elif instruction == "WORKDIR":
            image.workdir = rest
            image.path(".").mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY":
            _copy(line, rest.split(), sent, stages, image)
        elif instruction == "ENV":
            image.env |= dict(each.split("=", 1) for each in shlex.split(rest))
        elif instruction == "RUN":
            _run(re.sub(r"^--mount=type=cache,target=\S+ ", "", rest), image)
        elif instruction == "USER":
            image.user = rest
        elif instruction == "VOLUME":
            image.volumes.append(rest)
        elif instruction == "CMD":
            image.command = json.loads(rest)
        elif instruction == "HEALTHCHECK":
            image.health = json.loads(rest.partition(" CMD ")[2])
        else:
            _known(instruction == "EXPOSE", line)
    return image


def _known(is_known: bool, line: str) -> None:
    if not is_known:
        raise ValueError(f"tests/images.py does not know this yet: {line}")


def _copy(
    line: str,
    words: list[str],
    sent: Mapping[str, Path],
    stages: Mapping[str, Image],
    image: Image,
) -> None:
    origin = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
    *sources, target = words
    for source in sources:
        if origin:
            found_there = stages[origin].path(source)
            image.has_uv |= source == "/uv"  # run as the tester's
            if found_there.is_dir():
                shutil.copytree(found_there, image.path(target), symlinks=True, dirs_exist_ok=True)
            else:
                image.path(target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found_there, image.path(target))
            continue
        _known(not source.startswith(("/", "*")), line)
        found = {
            name: file
            for name, file in sent.items()
            if name == source or name.startswith(f"{source}/")
        }
        assert found, f"nothing to copy, or .dockerignore keeps it out: {line}"
        for name, file in found.items():
            inside = name.removeprefix(source).removeprefix("/") or Path(name).name
            is_file = name == source
            to = image.path(target) / (inside if not is_file or target.endswith("/") else "")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, to)


def _run(command: str, image: Image) -> None:
    if os.geteuid() != 0:
        command = re.sub(r" -[og] \d+", "", command)
    image.run(["/bin/sh", "-c", image.here(command)], {})


def sent_files(context: Path) -> dict[str, Path]:
    """Return the files that a build may copy: the last matching line of `.dockerignore` decides."""
    lines = (context / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    found = {}
    for file in context.rglob("*"):
        name = file.relative_to(context).as_posix()
        if file.is_file() and not _is_ignored(name, rules):
            found[name] = file
    return found


def _is_ignored(name: str, rules: list[str]) -> bool:
    """Tell whether a file stays out. A rule for a folder holds for all in it."""
    parts = name.split("/")
    prefixes = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        anywhere = pattern.removeprefix("**/")
        for prefix in prefixes:
            same_depth = prefix.count("/") == pattern.count("/")
            if (
                fnmatch.fnmatchcase(prefix.rpartition("/")[2], anywhere)
                if anywhere != pattern
                else same_depth and fnmatch.fnmatchcase(prefix, pattern)
            ):
                ignored = not rule.startswith("!")
    return ignored


def interpolated(value: Any, variables: Mapping[str, str]) -> str:
    """Return a value of a compose file with its variables. Raise KeyError for a required one."""

    def of(match: re.Match[str]) -> str:
        name, rest = match[1], match[2] or ""
        if variables.get(name):
            return variables[name]
        if rest.startswith(":?"):
            raise KeyError(f"{name}: {rest[2:]}")
        _known(not rest, match[0])
        return ""

    return re.sub(r"\$\{(\w+)([^}]*)\}", of, str(value))
