"""Invented patients and staff. No name, number or date belongs to anyone."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from suture.sim.dft import Case

# fmt: off
FAMILIES = (
    "Abernethy", "Alvarado", "Bergstrom", "Castellane", "Dunmore", "Eastaway", "Farrow", "Gillespie", "Hathersage", "Ivarsson",
    "Juarez", "Kowalczyk", "Lindgren", "Marchetti", "Nakagawa", "Núñez", "Okonjo", "Pemberton", "Quillfeather", "Rosenthal",
    "Sandoval", "Thackeray", "Umber", "Vasquez", "Whitlock", "Yarborough", "Zielinski",
)
GIVEN = (
    "Ada", "Benoit", "Clara", "Dmitri", "Elena", "Farid", "Grace", "Hiro", "Imani", "Jonas", "Keisha", "Luz", "Marek", "Nora",
    "Oscar", "Priya", "Quentin", "Rosa", "Samir", "Tess", "Ugo", "Vera", "Wes",
)
# fmt: on
STAFF = tuple(f"{number}^{name}" for number, name in ((4101, "Circulator A"), (4102, "Circulator B"), (4115, "Scrub A"), (4127, "Scrub B")))


def case(rng: Random, number: int, room: str, day: date) -> Case:
    """The case of this number of the day; the same random state gives the same person."""
    born = day - timedelta(days=rng.randint(20 * 365, 88 * 365))
    return Case(
        room=room,
        account=f"A{day:%y%m%d}{number:03d}",
        visit=f"V{day:%y%m%d}{number:03d}",
        mrn=str(rng.randint(1_000_000, 1_999_999)),
        family=rng.choice(FAMILIES),
        given=rng.choice(GIVEN),
        born=born.strftime("%Y%m%d"),
        sex=rng.choice("FM"),
    )
