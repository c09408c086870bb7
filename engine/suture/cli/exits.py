"""Exit codes of the `suture` command, stable for scripts. `run` ends with those of model/ending.py too."""

OK = 0
"""Done."""
FAILED = 1
"""It was asked for and refused: a negative ACK, a failed channel test, an error answered by the engine, what is no backup."""
WRONG = 2
"""Wrong use of the command, or wrong files in the site; nothing was done."""
NOT_FOUND = 3
"""There is no such message, delivery, exception or channel."""
NO_ANSWER = 4
"""The engine, its database or the peer cannot be reached or did not answer in time. Where it says `command N`, what was asked is kept."""
INTERRUPTED = 130
"""Ended by Ctrl-C (but `run` and `listen`, which are meant to end so, exit with 0)."""
