"""Original and enhanced mode: which acknowledgements are due, one row a case."""

import pytest

from suture.wire.hl7v2.exchange.due import Due, replies, wants
from suture.wire.hl7v2.text.header import Header

HEAD = b"MSH|^~\\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|M1|P|2.5.1|||"
FATES = ("accepted", "error", "rejected", "unstorable", "undelivered")


def header(commit: str, application: str) -> Header:
    found = Header.read(HEAD + f"{commit}|{application}\rPID|1\r".encode())
    assert found is not None
    return found


ROWS = {
    # MSH-15, MSH-16:  accepted     error          rejected     unstorable   undelivered
    ("", ""): ("- AA", "- AE", "- AR", "- AR", "- AR"),
    ("AL", "AL"): ("CA AA", "CA AE", "CR -", "CE -", "CA AR"),
    ("AL", "NE"): ("CA -", "CA -", "CR -", "CE -", "CA -"),
    ("AL", "ER"): ("CA -", "CA AE", "CR -", "CE -", "CA AR"),
    ("AL", "SU"): ("CA AA", "CA -", "CR -", "CE -", "CA -"),
    ("NE", "AL"): ("- AA", "- AE", "- AR", "- AR", "- AR"),
    ("NE", "NE"): ("- -", "- -", "- -", "- -", "- -"),
    ("NE", "ER"): ("- -", "- AE", "- AR", "- AR", "- AR"),
    ("NE", "SU"): ("- AA", "- -", "- -", "- -", "- -"),
    ("ER", "AL"): ("- AA", "- AE", "CR -", "CE -", "- AR"),
    ("ER", "NE"): ("- -", "- -", "CR -", "CE -", "- -"),
    ("ER", "ER"): ("- -", "- AE", "CR -", "CE -", "- AR"),
    ("ER", "SU"): ("- AA", "- -", "CR -", "CE -", "- -"),
    ("SU", "AL"): ("CA AA", "CA AE", "- AR", "- AR", "CA AR"),
    ("SU", "NE"): ("CA -", "CA -", "- -", "- -", "CA -"),
    ("SU", "ER"): ("CA -", "CA AE", "- AR", "- AR", "CA AR"),
    ("SU", "SU"): ("CA AA", "CA -", "- -", "- -", "CA -"),
}


@pytest.mark.parametrize(
    ("asked", "fate", "codes"),
    [(asked, fate, codes) for asked, row in ROWS.items() for fate, codes in zip(FATES, row, strict=True)],
)
def test_each_mode_and_fate_has_its_answers(asked, fate, codes):
    commit, application = (None if code == "-" else code for code in codes.split())
    assert replies(header(*asked), fate) == Due(commit, application)


@pytest.mark.parametrize(
    ("one", "followed"),
    [
        (("AL", ""), (b"AL", b"NE")),
        (("ER", ""), (b"ER", b"NE")),
        (("", "AL"), (b"NE", b"AL")),
        (("", "SU"), (b"NE", b"SU")),
        (("NE", ""), (b"NE", b"AL")),
        (("", "NE"), (b"AL", b"NE")),
        (('""', "NE"), (b"AL", b"NE")),
        (("al", "ne"), (b"AL", b"NE")),
        (("YES", "NE"), (b"AL", b"NE")),
    ],
)
def test_a_field_that_stands_alone_or_is_strange_still_gets_its_sender_an_answer(one, followed):
    assert wants(header(*one)) == (True, *followed)


@pytest.mark.parametrize("asked", [("", ""), ('""', '""'), ('""', "")])
def test_neither_field_is_original_mode(asked):
    assert not wants(header(*asked)).enhanced
    assert not wants(None).enhanced
