"""TLS for connections to the outside: which certificates are trusted."""

from __future__ import annotations

import os
import ssl

import certifi


def client_context(*, verify: bool = True) -> ssl.SSLContext:
    """A context of its own for each who asks, for libraries write their protocols into it.

    Trusted is what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, else Mozilla's list (certifi), which
    is there in a container without certificates too.

    Args:
        verify: False accepts every certificate.
    """
    if not verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return ssl.create_default_context(cafile=file, capath=folder)
    return ssl.create_default_context(cafile=certifi.where())
