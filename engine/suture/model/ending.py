"""How the engine's process ended, as its exit code says to whoever started it (docs/operations.md)."""

CLEAN = 0
"""It was asked to end, and all that it had begun is written down."""
CANNOT_START = 1
"""It could not start."""
TAKEN_OVER = 5
"""Another engine has taken its store over."""
UNCLEAN = 6
"""It was asked to end, and could not do so in order within its time; the next start goes on from the store, as after a kill."""
