"""Text as the database can hold it."""


def storable(text: str) -> str:
    """`text` with lone surrogates spelled out: a file name may be any bytes, and Python carries the odd ones so."""
    return text.encode("utf-8", "backslashreplace").decode()
