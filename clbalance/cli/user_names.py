"""What people are called here; on nodes they are numbers."""

import pwd


def user_name(uid: int) -> str:
    """As this machine knows them."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
