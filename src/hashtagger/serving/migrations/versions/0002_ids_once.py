"""Ids that SQLite never reuses, the table of folders yet to be deleted, and the column for a sorting's last step."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBERED = ("user", "import", "post", "recommended", "sorting", "correction", "media", "post_tag")


def upgrade() -> None:
    """Add the table and the column, and make ids AUTOINCREMENT in SQLite."""
    op.create_table(
        "leftover",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("folder", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leftover")),
        sqlite_autoincrement=True,
    )
    op.add_column("sorting", sa.Column("step", sa.String(length=10), nullable=False, server_default="planning"))
    _recreate_tables()


def _recreate_tables() -> None:
    """Recreate SQLite's tables, because AUTOINCREMENT needs a new table; rows, ids and the highest id are kept."""
    if op.get_bind().dialect.name == "sqlite":
        for name in _NUMBERED:
            with op.batch_alter_table(name, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
                pass
