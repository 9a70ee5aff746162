"""Jobs of several logins, one login after the other: sessions are one per node (docs/design/jobs.md)."""

from collections.abc import Iterator, Sequence

from clbalance.engine.world import World


def by_login(world: World, users: Sequence[str | None]) -> Iterator[tuple[World, list[int]]]:
    """For each of `users`, in the order of their first: the world as that one sees it, and his places in `users`."""
    for user in dict.fromkeys(users):
        yield world.as_user(user), [place for place, one in enumerate(users) if one == user]
