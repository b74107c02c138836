from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from hashtagger.serving.store import Table, open_database, secret


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


def test_the_secret_stays_and_is_ones_own(make_settings):
    settings = make_settings()
    settings.data_dir.mkdir()
    first = secret(settings)
    assert len(first) == 32
    assert secret(settings) == first
    assert (settings.data_dir / "secret").stat().st_mode & 0o077 == 0
