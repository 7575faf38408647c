"""All built-in functions in one table. Spec: csml-language §9."""

from __future__ import annotations

from typing import Final

from palaver.csml.stdlib.app import APP_BUILTINS
from palaver.csml.stdlib.builtins import PLAIN_BUILTINS
from palaver.csml.stdlib.crypto import CRYPTO_BUILTINS
from palaver.csml.stdlib.encodings import ENCODING_BUILTINS
from palaver.csml.stdlib.http import HTTP_BUILTINS
from palaver.csml.stdlib.identity import IDENTITY_BUILTINS
from palaver.csml.stdlib.jwt import JWT_BUILTINS
from palaver.csml.stdlib.smtp import SMTP_BUILTINS
from palaver.csml.stdlib.table import Builtin
from palaver.csml.stdlib.time import TIME_BUILTINS

BUILTINS: Final[dict[str, Builtin]] = {
    **PLAIN_BUILTINS,
    **IDENTITY_BUILTINS,
    **ENCODING_BUILTINS,
    **CRYPTO_BUILTINS,
    **JWT_BUILTINS,
    **TIME_BUILTINS,
    **HTTP_BUILTINS,
    **SMTP_BUILTINS,
    **APP_BUILTINS,
}
"""Name → built-in. Functions of a bot cannot override these (§5.3)."""
