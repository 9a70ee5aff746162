"""The text that starts an agent, apart from the protocol: it is sent before that is imported."""


def bootstrap(nonce: str, source: str, owner: int | None = None) -> bytes:
    """Shell text that replaces an open `sh -s` by the agent. The source is a here-document on descriptor 3.

    `owner`: the uid that an agent of root becomes first.
    """
    words = nonce if owner is None else f"{nonce} {owner}"
    return f"exec python3 -I -S /dev/fd/3 {words} 3<<'CLB_{nonce}'\n{source}CLB_{nonce}\n".encode()
