import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from mien.db import Database, open_database
from mien.db.database import _engine
from mien.db.migrate import MIGRATIONS, _alone, _config, newest
from mien.db.tables import idempotency, metadata
from mien.errors import DatabaseUnavailable


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/mien.db"
    return str(request.getfixturevalue("postgres_server").new_database(f"empty_{request.node.originalname}"))


def test_the_migrations_lead_to_the_tables(empty_url: str) -> None:
    database = open_database(empty_url)
    with database.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_many_may_begin_at_once(empty_url: str) -> None:
    errors: list[BaseException] = []

    def begin() -> None:
        try:
            open_database(empty_url).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_the_tables_of_a_later_version_are_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mien.db"
    database = open_database(url)
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(DatabaseUnavailable, match="later version of mien"):
        open_database(url)


def test_what_an_earlier_version_kept_is_still_there(empty_url: str) -> None:
    database = Database(empty_url, _engine(empty_url, 5))
    with _alone(database) as connection:
        command.upgrade(_config(connection), "0001")
        words = "'ann', 'key', 'print', 'job', 1.0, 2.0"
        connection.exec_driver_sql(
            f"INSERT INTO idempotency (owner, key, fingerprint, job, created_at, locked_until) VALUES ({words})"
        )
    database.close()
    database = open_database(empty_url)
    with database.read() as connection:
        row = connection.execute(sa.select(idempotency)).one()
    assert (row.owner, row.fingerprint, row.holder) == ("ann", "print", "")
    database.close()


def test_the_newest_migration_is_known_by_its_file() -> None:
    assert newest() == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def test_tables_that_are_up_to_date_need_no_alembic(tmp_path: Path) -> None:
    script = (
        "import sys; from mien.db import open_database; open_database(sys.argv[1]).close();"
        "print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/mien.db"]
    said = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)
    ]
    assert said == ["True", "False"]
