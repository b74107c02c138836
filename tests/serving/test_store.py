from dataclasses import replace
from importlib.resources import files

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, delete, func, insert, select, text

from hashtagger.errors import HashtaggerError
from hashtagger.serving.store import Correction, Leftover, Media, Post, Table, User, now, open_database, secret

from .conftest import running


def test_the_migrations_make_what_the_models_say(make_settings):
    settings = make_settings()
    settings.data_dir.mkdir()
    sessions = open_database(settings)
    engine = sessions.kw["bind"]
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Table.metadata) == []
    open_database(settings).kw["bind"].dispose()
    engine.dispose()


def test_tables_of_before_keep_their_rows_and_no_id_comes_again(make_settings):
    settings = make_settings()
    settings.data_dir.mkdir()
    engine = create_engine(settings.database_url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(files("hashtagger.serving") / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        mine = {"user_id": 1}
        for table, row in (
            (User, {"name": "/local", "created_at": now()}),
            (Post, {**mine, "key": "k", "taken_at": now(), "month": "2021-04", "guess": False, "caption": "우리 #꽃"}),
            (Media, {**mine, "post_id": 1, "position": 0, "kind": "photo", "name": "", "digest": "", "suffix": ""}),
            (Correction, {**mine, "post_id": 1, "at": now(), "before": ["꽃"], "after": []}),
        ):
            connection.execute(insert(table).values(row))
        tables = ("post", "media", "correction")
        before = {table: connection.execute(text(f"SELECT * FROM {table}")).all() for table in tables}
    engine.dispose()
    sessions = open_database(settings)
    with sessions.begin() as db:
        for table, rows in before.items():
            assert db.execute(text(f"SELECT * FROM {table}")).all() == rows
        db.execute(delete(Post))
        assert db.scalar(select(func.count(Media.id))) == 0, "they go with their post"
        again = Post(user_id=1, key="k", taken_at=now(), month="2021-04", guess=False, caption="")
        db.add(again)
        db.flush()
        assert again.id == 2
    sessions.kw["bind"].dispose()


def test_a_data_folder_belongs_to_one_database(make_settings, tmp_path):
    settings = make_settings()
    settings.data_dir.mkdir()
    open_database(settings).kw["bind"].dispose()
    with pytest.raises(HashtaggerError, match="database-id: the data folder belongs to another database"):
        open_database(replace(settings, database_url=f"sqlite:///{tmp_path / 'other.sqlite'}"))
    open_database(settings).kw["bind"].dispose()
    # A data folder of an earlier version has no database id.
    (settings.data_dir / "database-id").unlink()
    open_database(settings).kw["bind"].dispose()
    assert (settings.data_dir / "database-id").exists()


def test_only_what_was_deleted_here_is_cleared_away(make_settings):
    settings = make_settings()
    unknown, deleted = settings.data_dir / "users/98/photos", settings.data_dir / "users/99/photos"
    for folder in (unknown, deleted):
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(b"x")
    sessions = open_database(settings)
    with sessions.begin() as db:
        db.add(Leftover(folder="users/99"))
    sessions.kw["bind"].dispose()
    with running(settings) as site, site.client() as client, site.app.state.services.sessions() as db:
        client.get("/api/health")
        assert (unknown / "a.jpg").exists()
        assert not deleted.parent.exists()
        assert db.scalar(select(func.count(Leftover.id))) == 0


def test_pieces_that_a_killed_server_left_are_cleared_away(make_settings):
    settings = make_settings()
    piece, photo = settings.data_dir / "users/1/incoming/tmpx", settings.data_dir / "users/1/photos/ab/abc.jpg"
    for path in (piece, photo):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    with running(settings) as site, site.client() as client:
        client.get("/api/health")
        assert not piece.exists()
        assert photo.exists()


def test_the_secret_stays_and_is_ones_own(make_settings):
    settings = make_settings()
    settings.data_dir.mkdir()
    first = secret(settings)
    assert len(first) == 32
    assert secret(settings) == first
    assert (settings.data_dir / "secret").stat().st_mode & 0o077 == 0
    (settings.data_dir / "secret").write_bytes(b"")  # as if the server was killed while creating it
    assert len(secret(settings)) == 32
