"""Regular expressions whose time is linear in the value, whatever the pattern: a small subset, run as an automaton.

A whole value must match. The subset: characters, `.`, classes such as [A-Z0-9_] and [^|], \\d \\w \\s \\D \\W \\S, groups,
`|`, and the repetitions ? * + {n} {n,} {n,m}. There is no back reference and no look-around, so nothing can backtrack.
Classes and escapes are of ASCII; any other escaped character stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

STATES_MAX = 2000
"""States of one pattern; repetitions in braces count as often as they repeat."""
DEPTH_MAX = 40
"""Groups inside each other."""
KNOWN_MAX = 16_384
"""Steps (a set of states, a character) that are remembered; beyond it those that were not taken for longest are found again."""

Test = Callable[[str], object]
_CLASSES = "dsw"
_TIMES = re.compile(r"\{([0-9]{1,5})(,([0-9]{1,5})?)?\}")


@dataclass(slots=True)
class _State:
    """Takes one character when it passes `test`, and goes to `to`; without a test it goes on to all of `free`."""

    test: Test | None = None
    to: int = -1
    free: list[int] = field(default_factory=list)


Part = tuple[int, int]
"""A piece of the automaton: its first and its last state (a free one)."""


class _Reader:
    """Reads a pattern and builds the automaton."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at, self.depth = pattern, 0, 0
        self.states: list[_State] = []

    def read(self) -> Part:
        part = self._either()
        if self.at < len(self.pattern):
            raise ValueError("a ) is not opened")
        return part

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _next(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1 : self.at]

    def _state(self, test: Test | None = None) -> int:
        if len(self.states) >= STATES_MAX:
            raise ValueError(f"too large (more than {STATES_MAX} states); repeat less")
        self.states.append(_State(test))
        return len(self.states) - 1

    def _either(self) -> Part:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._next()
            parts.append(self._sequence())
        if len(parts) == 1:
            return parts[0]
        begin, end = self._state(), self._state()
        for first, last in parts:
            self.states[begin].free.append(first)
            self.states[last].free.append(end)
        return begin, end

    def _sequence(self) -> Part:
        first = last = self._state()
        while self._peek() not in ("", "|", ")"):
            begin, end = self._repeated()
            self.states[last].free.append(begin)
            last = end
        return first, last

    def _repeated(self) -> Part:
        start = self.at
        part = self._one()
        times = self._times()
        if times is None:
            return part
        if self._peek() in ("?", "+", "*", "{"):
            raise ValueError("two repetitions in a row")
        after = self.at
        least, most = times
        first = last = self._state()
        for i in range(max(least, most or 0, 1)):
            if i:
                self.at = start
                part = self._one()
            last = self._chain(last, part, optional=i >= least, again=most is None and i + 1 >= max(least, 1))
        if most == 0:
            first = last = self._state()
        self.at = after
        return first, last

    def _chain(self, last: int, part: Part, optional: bool, again: bool) -> int:
        """One more time the part; again: any number of times."""
        begin, end = self._state(), self._state()
        self.states[last].free.append(begin)
        self.states[begin].free.append(part[0])
        self.states[part[1]].free.append(end)
        if optional:
            self.states[begin].free.append(end)
        if again:
            self.states[end].free.append(part[0])
        return end

    def _times(self) -> tuple[int, int | None] | None:
        found = {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(self._peek())
        if found:
            self._next()
            return found
        if self._peek() != "{":
            return None
        match = _TIMES.match(self.pattern, self.at)
        if not match:
            raise ValueError("after { stands a number, as {3}, {2,} or {2,5}; write \\{ for the character")
        self.at = match.end()
        least = int(match[1])
        most = int(match[3]) if match[3] else None if match[2] else least
        if most is not None and most < least:
            raise ValueError(f"{match[0]} has its numbers the wrong way round")
        if max(least, most or 0) > STATES_MAX:
            raise ValueError(f"too large (more than {STATES_MAX} states); repeat less")
        return least, most

    def _one(self) -> Part:
        char = self._next()
        if char == "(":
            return self._group()
        if char in "?*+{":
            raise ValueError(f"nothing stands before {char} that could repeat; write \\{char} for the character")
        if char in "^$":
            raise ValueError(f"{char} is not needed, since the whole value must match; write \\{char} for the character")
        begin, end = self._state(self._test(char)), self._state()
        self.states[begin].to = end
        return begin, end

    def _test(self, char: str) -> Test:
        """What one character has to be; char: how the pattern begins to say it."""
        if char not in (".", "[", "\\"):
            return char.__eq__
        what = char if char == "." else self._class() if char == "[" else self._escaped()
        return re.compile(what, re.ASCII | re.DOTALL).fullmatch

    def _group(self) -> Part:
        if self.pattern.startswith("?:", self.at):
            self.at += 2
        elif self._peek() == "?":
            raise ValueError("(? begins something that there is not here; groups are ( ) and (?: )")
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise ValueError(f"more than {DEPTH_MAX} groups inside each other")
        part = self._either()
        self.depth -= 1
        if self._next() != ")":
            raise ValueError("a ( is not closed")
        return part

    def _escaped(self) -> str:
        """What stands behind a backslash, for `re`."""
        char = self._next()
        if not char:
            raise ValueError("ends with a single backslash")
        if char.lower() in _CLASSES:
            return f"\\{char}"
        if char.isalnum():
            raise ValueError(f"\\{char} has no meaning here; there are \\d \\w \\s \\D \\W \\S")
        return re.escape(char)

    def _class(self) -> str:
        """What stands behind a [, for `re`."""
        members = ["["]
        if self._peek() == "^":
            members.append(self._next())
        members.append(self._member())
        while self._peek() != "]":
            members.append(self._member())
        return "".join(members) + self._next()

    def _member(self) -> str:
        char = self._next()
        if not char:
            raise ValueError("a [ is not closed")
        if char == "\\":
            char = self._next()
            if char and char in _CLASSES:
                return f"\\{char}"
            if char.isalnum() or not char:
                raise ValueError(f"\\{char} has no meaning inside [ ]; there are \\d \\w \\s")
        if self._peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in ("]", ""):
            return re.escape(char)
        self._next()
        upper = self._next()
        upper = self._next() if upper == "\\" else upper
        if upper < char:
            raise ValueError(f"{char}-{upper} has its ends the wrong way round")
        return f"{re.escape(char)}-{re.escape(upper)}"


class Pattern:
    """A compiled pattern. Raises ValueError, with the remedy, for one that is not of the subset."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        reader = _Reader(pattern)
        first, self._last = reader.read()
        self._states = reader.states
        self._begin = self._closure({first})
        self._step = lru_cache(KNOWN_MAX)(self._found)

    def __call__(self, value: str) -> bool:
        """Does the whole value match?"""
        now = self._begin
        for char in value:
            now = self._step(now, char)
            if not now:
                return False
        return self._last in now

    def _found(self, now: frozenset[int], char: str) -> frozenset[int]:
        states = self._states
        return self._closure({states[i].to for i in now if (test := states[i].test) and test(char)})

    def _closure(self, states: set[int]) -> frozenset[int]:
        todo = list(states)
        while todo:
            for free in self._states[todo.pop()].free:
                if free not in states:
                    states.add(free)
                    todo.append(free)
        return frozenset(states)
