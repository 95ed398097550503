"""PostgreSQL's enum types in revisions: Alembic itself creates some of them and drops none."""

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import ExecuteSQLOp, MigrationScript
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Enum, MetaData, inspect
from sqlalchemy.dialects.postgresql.base import PGInspector


def render_enum(type_: object, context: AutogenContext) -> str | None:
    """Return the source of an enum type that its revision creates in a statement of its own."""
    if not isinstance(type_, Enum):
        return None
    context.imports.add("from sqlalchemy.dialects import postgresql")
    values = ", ".join(repr(value) for value in type_.enums)
    return f"postgresql.ENUM({values}, name={type_.name!r}, create_type=False)"


def add_enum_types(migration: MigrationContext, script: MigrationScript) -> None:
    """Add the statements for types that are new, have new values, or are not used any more."""
    upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
    assert upgrade is not None
    assert downgrade is not None
    assert migration.connection is not None
    inspector = inspect(migration.connection)
    assert isinstance(inspector, PGInspector)
    included = migration.opts["include_name"] or (lambda *_: True)
    present = {each["name"]: each["labels"] for each in inspector.get_enums()}
    declared = _declared(migration.opts["target_metadata"])
    for name, values in declared.items():
        if name not in present:
            upgrade.ops.insert(0, ExecuteSQLOp(_create(name, values)))
            downgrade.ops.append(ExecuteSQLOp(f"DROP TYPE {name}"))
        for value in (value for value in values if value not in present.get(name, values)):
            # PostgreSQL takes no value away: the downgrade leaves it.
            upgrade.ops.insert(0, ExecuteSQLOp(f"ALTER TYPE {name} ADD VALUE {_quote(value)}"))
    for name, values in present.items():
        if name not in declared and included(name, "type", {}):
            upgrade.ops.append(ExecuteSQLOp(f"DROP TYPE {name}"))
            downgrade.ops.insert(0, ExecuteSQLOp(_create(name, values)))


def _declared(metadata: MetaData) -> dict[str, list[str]]:
    declared: dict[str, list[str]] = {}
    for column in (column for table in metadata.tables.values() for column in table.columns):
        if isinstance(column.type, Enum) and column.type.native_enum:
            name, values = str(column.type.name), list(column.type.enums)
            if declared.setdefault(name, values) != values:
                raise ValueError(
                    f"two enum types are named {name}: give that of {column} another name with "
                    f"`mapped_column(Enum(..., name=...))`"
                )
    return declared


def _create(name: str, values: list[str]) -> str:
    return f"CREATE TYPE {name} AS ENUM ({', '.join(map(_quote, values))})"


def _quote(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
