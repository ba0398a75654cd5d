import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from mien.db import Database, open_database
from mien.db.database import is_database_url, prepare_sqlite, without_password
from mien.db.tables import rate_limits
from mien.errors import DatabaseUnavailable, OptionError
from tests import postgres


def test_a_transaction_happens_as_a_whole_or_not_at_all(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(rate_limits.insert().values(key="kept", free_at=1.5))
    broken = rate_limits.insert().values(key="lost", free_at=1.5)
    with pytest.raises(ZeroDivisionError), database.begin() as connection:
        _ = connection.execute(broken).rowcount / 0
    with database.read() as connection:
        assert connection.execute(sa.select(rate_limits)).all() == [("kept", 1.5)]


def test_many_threads_count_without_losing_one(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(rate_limits.insert().values(key="n", free_at=0))

    def count() -> None:
        for _ in range(10):
            with database.begin() as connection:
                row = sa.select(rate_limits.c.free_at).with_for_update()
                value = connection.execute(row).scalar_one()
                connection.execute(rate_limits.update().values(free_at=value + 1))

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(sa.select(rate_limits.c.free_at)).scalar_one() == 60


def test_a_second_process_opens_what_is_there(database_url: str) -> None:
    first = open_database(database_url)
    with first.begin() as connection:
        connection.execute(rate_limits.insert().values(key="a", free_at=1))
    second = open_database(database_url)
    with second.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(rate_limits)).scalar_one() == 1
    first.close()
    second.close()


def test_a_database_in_a_new_folder_is_made(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/a/b/mien.db").close()
    assert (tmp_path / "a" / "b" / "mien.db").is_file()


def test_what_cannot_be_opened_is_said_in_a_sentence_without_the_password(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match="folder of the database"):
        open_database(f"sqlite:///{tmp_path}/file/mien.db")
    with pytest.raises(DatabaseUnavailable) as caught:
        open_database("postgresql://me:hidden@127.0.0.1:1/none")
    assert "hidden" not in str(caught.value)
    assert str(caught.value).startswith("The database postgresql://me:***@127.0.0.1:1/none cannot be used")


@pytest.mark.parametrize("url", ["mysql://here/db", "jobs", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(OptionError):
        open_database(url)


def test_what_a_database_url_is() -> None:
    assert is_database_url("sqlite:///x.db")
    assert is_database_url("postgresql+psycopg://a@b/c")
    assert is_database_url("postgres://a@b/c")
    assert not is_database_url("/var/jobs")
    assert not is_database_url("s3://bucket")
    assert without_password("postgresql://a:b@c/d") == "postgresql://a:***@c/d"
    assert without_password("sqlite:///x.db") == "sqlite:///x.db"


def test_a_database_that_was_restarted_is_used_again(
    postgres_server: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.db.database.TEST_AFTER", 0.0)
    database = open_database(postgres_server.new_database("restarted"))
    postgres_server.stop("immediate")
    with pytest.raises(DatabaseUnavailable), database.read():
        pass
    postgres_server.start()
    for _ in range(3):
        with database.begin() as connection:
            connection.execute(sa.select(1))
    database.close()


def test_a_new_file_that_somebody_else_sets_up_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "mien.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE counts (number INTEGER)")
    end = threading.Timer(0.2, other.execute, ["COMMIT"])
    end.start()
    try:
        connection = sqlite3.connect(file)
        prepare_sqlite(connection)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()
    finally:
        end.join()
        other.close()
