"""What the server remembers, as tables: people, posts, corrections, recommendations, and work under way."""

import secrets
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, MetaData, String, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.types import TypeDecorator

from hashtagger.errors import HashtaggerError
from hashtagger.serving.settings import Settings

LOCAL_USER = 1


class Moment(TypeDecorator[datetime]):
    """An aware time, kept in UTC; SQLite would forget the zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Drop the zone once in UTC."""
        return value and value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Put UTC back."""
        return value and value.replace(tzinfo=timezone.utc)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)


class Table(DeclarativeBase):
    """Base of the tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Moment, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


def _owner() -> Mapped[int]:
    return mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)


class User(Table):
    """A person; without accounts the only one, who has no password."""

    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    password: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=now)


class Recommended(Table):
    """A photo that was asked about, what was said, and which tags were taken."""

    __tablename__ = "recommended"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = _owner()
    at: Mapped[datetime] = mapped_column(default=now)
    name: Mapped[str] = mapped_column(String(255))
    digest: Mapped[str] = mapped_column(String(64))
    suffix: Mapped[str] = mapped_column(String(8))
    vocabulary: Mapped[str] = mapped_column(String(80))
    tags: Mapped[list[Any]] = mapped_column(default=list)
    chosen: Mapped[list[Any]] = mapped_column(default=list)


def open_database(settings: Settings) -> sessionmaker[Session]:
    """Connect, bring the tables up to date, and make sure of the local user.

    Raises:
        HashtaggerError: The database cannot be reached or is of a later version.
    """
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = _connect(settings.database_url)
        migrate(engine)
        sessions = sessionmaker(engine, expire_on_commit=False)
        with sessions.begin() as db:
            if db.get(User, LOCAL_USER) is None:
                # No password fits, and "/" is in no name that can be signed up with.
                db.add(User(id=LOCAL_USER, name="/local"))
    except (SQLAlchemyError, CommandError, ImportError, OSError) as error:
        line = str(error).strip().splitlines()[0]
        raise HashtaggerError(f"HASHTAGGER_DATABASE_URL: {line}") from error
    return sessions


def migrate(engine: Engine) -> None:
    """Bring the tables up to date."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _connect(url: str) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, max_overflow=60)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=20000"):
        connection.execute(f"PRAGMA {pragma}")


def secret(settings: Settings) -> bytes:
    """The server's own secret, made at its first start and readable by its user only."""
    path = settings.data_dir / "secret"
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            file.write(secrets.token_bytes(32))
    except FileExistsError:
        pass
    return path.read_bytes()
