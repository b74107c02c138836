"""What the server remembers, as tables: people, posts, corrections, recommendations, and work under way."""

import secrets
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    select,
)
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeDecorator

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _
from hashtagger.serving.settings import Settings

LOCAL_USER = "/local"
"""Name of the one user where there are no accounts; no account can have it, for its ``/``."""


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


def storable(text: str) -> str:
    """Text that every database takes and every page can show: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


# SQLite would give a deleted row's id to the next one.
_IDS_ONCE = {"sqlite_autoincrement": True}


class Table(DeclarativeBase):
    """Base of the tables."""

    __table_args__: Any = _IDS_ONCE
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


class LogIn(Table):
    """A browser that is logged in, found by its session token's hash."""

    __tablename__ = "log_in"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = _owner()
    until: Mapped[datetime]


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


class Import(Table):
    """Posts on their way into a library: first their files, where they are uploaded, then the posts."""

    __tablename__ = "import"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = _owner()
    at: Mapped[datetime] = mapped_column(default=now)
    name: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    uploaded: Mapped[bool]
    language: Mapped[str] = mapped_column(String(2))
    received: Mapped[int] = mapped_column(BigInteger, default=0)
    files: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(10))  # receiving, waiting, running, done, failed
    seen: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    problems: Mapped[list[Any]] = mapped_column(default=list)


class Post(Table):
    """A post of a library."""

    __tablename__ = "post"
    __table_args__ = (UniqueConstraint("user_id", "key"), Index(None, "user_id", "taken_at"), _IDS_ONCE)
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = _owner()
    key: Mapped[str] = mapped_column(String(64))
    taken_at: Mapped[datetime]
    month: Mapped[str] = mapped_column(String(7))
    guess: Mapped[bool]
    caption: Mapped[str] = mapped_column(Text)
    permalink: Mapped[str | None] = mapped_column(Text)
    place: Mapped[str | None] = mapped_column(Text)
    media: Mapped[list["Media"]] = relationship(order_by="Media.position", passive_deletes=True)
    tags: Mapped[list["PostTag"]] = relationship(
        order_by="PostTag.position", passive_deletes=True, cascade="all, delete-orphan"
    )


class Media(Table):
    """A photo or video of a post."""

    __tablename__ = "media"
    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = _owner()
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(String(5))
    name: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    suffix: Mapped[str] = mapped_column(String(8))


class PostTag(Table):
    """A tag of a post: as typed, and as one of the tags that it means."""

    __tablename__ = "post_tag"
    __table_args__ = (Index(None, "user_id", "tag"), _IDS_ONCE)
    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    position: Mapped[int]
    typed: Mapped[str] = mapped_column(Text)
    tag: Mapped[str] = mapped_column(Text)
    by_model: Mapped[bool] = mapped_column(default=False)


class Correction(Table):
    """Tags of a post that a person put right."""

    __tablename__ = "correction"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = _owner()
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(default=now)
    before: Mapped[list[Any]]
    after: Mapped[list[Any]]
    post: Mapped[Post] = relationship()


class Sorting(Table):
    """A library organized into a folder: planned, carried out, perhaps undone."""

    __tablename__ = "sorting"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = _owner()
    at: Mapped[datetime] = mapped_column(default=now)
    destination: Mapped[str] = mapped_column(Text)
    by: Mapped[list[Any]]
    min_count: Mapped[int]
    language: Mapped[str] = mapped_column(String(2))
    state: Mapped[str] = mapped_column(String(10))  # planning, planned, running, done, undoing, undone, failed
    step: Mapped[str] = mapped_column(String(10), default="planning")  # what was begun last; it may have failed
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    problems: Mapped[list[Any]] = mapped_column(default=list)


class Leftover(Table):
    """A folder below the data folder whose account or upload is deleted, until it is known to be gone too."""

    __tablename__ = "leftover"
    id: Mapped[int] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(String(40))


def open_database(settings: Settings) -> sessionmaker[Session]:
    """Connect, bring the tables up to date, and make sure of the local user and of the data folder.

    Raises:
        HashtaggerError: The database cannot be reached, is of a later version, or is not that of the data folder.
    """
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        migrate(settings.database_url)
        sessions = sessionmaker(_connect(settings.database_url), expire_on_commit=False)
        with sessions.begin() as db:
            local = db.scalar(select(User).where(User.name == LOCAL_USER))
            if local is None:
                db.add(local := User(name=LOCAL_USER))
    except (SQLAlchemyError, CommandError, ImportError, OSError) as error:
        line = str(error).strip().splitlines()[0]
        raise HashtaggerError(f"HASHTAGGER_DATABASE_URL: {line}") from error
    # The microsecond in which a database was begun tells it from every other.
    _claim(settings.data_dir / "database-id", local.created_at.isoformat())
    return sessions


def _claim(path: Path, database: str) -> None:
    """Keep a data folder to its database: the ids of another would name other people's folders."""
    known = path.read_text("ascii") if path.exists() else ""
    if not known:
        path.write_text(database, "ascii")
    elif known != database:
        raise HashtaggerError(
            _("{path}: the data folder belongs to another database than HASHTAGGER_DATABASE_URL").format(path=path)
        )


def migrate(url: str) -> None:
    """Bring the tables up to date, all or none."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    # Not prepared as others are: with foreign keys on, SQLite deletes what refers to a table that is made anew.
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
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
    if not path.exists() or not path.stat().st_size:  # An earlier version, killed at its first start, left it empty.
        new = path.with_name("secret.new")
        new.touch(0o600)
        new.write_bytes(secrets.token_bytes(32))
        new.replace(path)
    return path.read_bytes()
