"""The dice of a simulation."""

from random import Random


def dice(*what: object) -> Random:
    """Return dice that fall the same way each time they are thrown for the same thing, such as a seed and a device."""
    return Random(":".join(map(str, what)))  # noqa: S311 - a simulation wants to be repeatable, not unpredictable
