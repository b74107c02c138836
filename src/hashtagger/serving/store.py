"""The database: users, posts, corrections, recommendations, imports and sortings."""

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
    text,
)
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeDecorator

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _
from hashtagger.serving.settings import Settings

LOCAL_USER = "/local"
"""Name of the only user of a server without accounts; no account can have it, because names cannot contain ``/``."""


class Moment(TypeDecorator[datetime]):
    """An aware datetime, stored as naive UTC because SQLite does not store time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC and drop the zone."""
        return value and value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Put UTC back."""
        return value and value.replace(tzinfo=timezone.utc)


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(timezone.utc)


def storable(text: str) -> str:
    """Remove NULs and replace lone surrogates, which not every database can store nor any page show."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


# Without AUTOINCREMENT, SQLite may reuse the id of a deleted row.
_IDS_ONCE = {"sqlite_autoincrement": True}


class Table(DeclarativeBase):
    """Base class of the tables."""

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
    """A user; the only user of a server without accounts has no password."""

    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    password: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=now)


class LogIn(Table):
    """A logged-in browser, found by the hash of its session token."""

    __tablename__ = "log_in"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = _owner()
    until: Mapped[datetime]


class Recommended(Table):
    """A photo with its recommended tags, and the tags that the user chose."""

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
    """An import of posts into a library; if uploaded, its files are received first."""

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
    """A tag of a post: as typed, and one of the canonical tags that it means."""

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
    """A user's correction of a post's tags."""

    __tablename__ = "correction"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = _owner()
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(default=now)
    before: Mapped[list[Any]]
    after: Mapped[list[Any]]
    post: Mapped[Post] = relationship()


class Sorting(Table):
    """A library organized into a folder or a ZIP: planned, applied, perhaps undone."""

    __tablename__ = "sorting"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = _owner()
    at: Mapped[datetime] = mapped_column(default=now)
    destination: Mapped[str] = mapped_column(Text)
    by: Mapped[list[Any]]
    min_count: Mapped[int]
    language: Mapped[str] = mapped_column(String(2))
    state: Mapped[str] = mapped_column(String(10))  # planning, planned, running, done, undoing, undone, failed
    step: Mapped[str] = mapped_column(String(10), default="planning")  # the last step started, to retry if it failed
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    problems: Mapped[list[Any]] = mapped_column(default=list)


class Leftover(Table):
    """A folder in the data folder of a deleted account or upload, kept here until the folder is deleted too."""

    __tablename__ = "leftover"
    id: Mapped[int] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(String(40))


def open_database(settings: Settings) -> sessionmaker[Session]:
    """Migrate the database, connect to it, and make sure that the local user exists and the data folder is its own.

    Raises:
        HashtaggerError: The database cannot be used, has a later schema, or belongs to another data folder.
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
    # The time at which the local user was created, to the microsecond, identifies a database.
    _claim(settings.data_dir / "database-id", local.created_at.isoformat())
    return sessions


def _claim(path: Path, database: str) -> None:
    """Tie a data folder to one database: with another one, ids would lead to the folders of other users."""
    known = path.read_text("ascii") if path.exists() else ""
    if not known:
        path.write_text(database, "ascii")
    elif known != database:
        raise HashtaggerError(
            _("{path}: the data folder belongs to another database than HASHTAGGER_DATABASE_URL").format(path=path)
        )


def migrate(url: str) -> None:
    """Migrate the tables to the latest schema in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    # SQLite's foreign_keys stays off here: with it on, recreating a table would delete the rows that refer to it.
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
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=20000",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def clear_log(db: Session) -> None:
    """Remove what was deleted from SQLite's write-ahead log, too, once the deletion is committed."""
    if db.get_bind().dialect.name == "sqlite":
        db.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).close()


def secret(settings: Settings) -> bytes:
    """Return the server's secret key, created on its first start with permissions for its user only."""
    path = settings.data_dir / "secret"
    if not path.exists() or not path.stat().st_size:  # an earlier version could leave it empty when killed
        new = path.with_name("secret.new")
        new.touch(0o600)
        new.write_bytes(secrets.token_bytes(32))
        new.replace(path)
    return path.read_bytes()
