"""The database of the service: SQLite on one machine, PostgreSQL for several.

``database`` opens it, ``tables`` says what is in it, ``migrations`` how it came to be so.
"""

from mien.db.database import Database, open_database

__all__ = ["Database", "open_database"]
