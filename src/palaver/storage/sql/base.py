"""What the parts of the SQL store share: a driver, its statements, the cipher."""

from __future__ import annotations

from palaver.storage.cipher import Cipher
from palaver.storage.sql.driver import Driver


class SqlPart:
    """One noun of the store. `store.SqlStore` puts the parts together over one driver."""

    def __init__(self, driver: Driver, queries: dict[str, str], cipher: Cipher) -> None:
        self._driver = driver
        self._sql = queries
        self._cipher = cipher
