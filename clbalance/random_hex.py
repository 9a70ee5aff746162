"""Names and marks that nobody can guess."""

import os


def random_hex() -> str:
    """128 random bits as 32 hexadecimal digits.

    As `secrets.token_hex(16)`; but `secrets` imports OpenSSL for its hashes (docs/design/speed.md).
    """
    return os.urandom(16).hex()
