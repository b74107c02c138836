"""Ids that SQLite gives once only, folders that are left to be deleted, and the step of a sorting that failed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBERED = ("user", "import", "post", "recommended", "sorting", "correction", "media", "post_tag")


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "leftover",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("folder", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leftover")),
        sqlite_autoincrement=True,
    )
    op.add_column("sorting", sa.Column("step", sa.String(length=10), nullable=False, server_default="planning"))
    _make_anew()


def _make_anew() -> None:
    """SQLite takes this option with a new table only; its rows, ids and the highest of them are taken over."""
    if op.get_bind().dialect.name == "sqlite":
        for name in _NUMBERED:
            with op.batch_alter_table(name, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
                pass
