"""The output of the anonymizer is searched for everything that the input tells of people, by means of its own (identity.py).

Over messages that others wrote, where they are at hand; over samples of every structure of every version; and over every field of
every segment of every version, filled, with the patient's name and numbers repeated in all texts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from suture.model.errors import MessageError
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.validate import Rules, validate
from suture.wire.hl7v2.text import cut
from suture.wire.hl7v2.text.er7 import Message
from suture.wire.hl7v2.tools import generate
from suture.wire.hl7v2.tools.anonymize import Anonymizer
from suture.wire.hl7v2.tools.parts import leaves, version_of
from suture.wire.hl7v2.tools.pseudonym import Pseudonyms
from tests.wire import identity

SHARED = Path(os.environ.get("SUTURE_SHARED") or Path(__file__).parents[4].parent / "shared")
FOLDERS = sorted(path for path in (SHARED / "corpus" / "hl7v2").glob("*") if path.is_dir())
ANONYMIZER = Anonymizer(Pseudonyms(b"a key for tests, of 32 bytes ..."))

FAMILY, GIVEN, MRN, SSN, ACCOUNT, PHONE = "Zwettlinger", "Oddvarine", "70441923", "613-58-2047", "AC5500187", "(512)555-0177"
CITY, STREET, BORN = "Quarrendale", "77 Upfield Terrace", "19480229"
SENTENCE = f"{FAMILY.upper()}, {GIVEN} of {CITY}: see 613582047 or MRN{MRN}, call 512 555 0177"
"""A text that repeats what the patient's own fields tell, in another case and with other punctuation."""


@pytest.mark.skipif(not FOLDERS, reason="the corpus is not beside the repository")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_nothing_of_other_peoples_messages_is_left(folder: Path) -> None:
    found = [(path.name, each) for path in sorted(folder.iterdir()) for each in searched(path.read_bytes())]
    assert found == []


def searched(raw: bytes) -> Iterator[str]:
    """What is left in the messages of a file."""
    for unit in cut.units([raw], len(raw) + 1):
        try:
            message = Message.parse(cut.message_of(unit) or unit)
        except (MessageError, ValueError):
            continue
        copy = ANONYMIZER.unit(unit)
        yield from identity.left(message, Message.parse(cut.message_of(copy) or copy), version_of(message))


@pytest.mark.parametrize("version", dictionary.VERSIONS)
def test_nothing_of_a_sample_is_left_and_it_is_as_valid_as_it_was(version: str) -> None:
    for number, name in enumerate(dictionary.structures(version)):
        raw = generate.message(name, version, "people", number)
        message, copy = Message.parse(raw), Message.parse(ANONYMIZER.unit(raw))
        assert list(identity.left(message, copy, version)) == [], name
        findings = [[str(one) for one in validate(each.raw, Rules(limit=1000))] for each in (message, copy)]
        assert findings[0] == findings[1], name
        assert [[str(c.isalnum())[0] for c in s.name] for s in message.segments] == [
            [str(c.isalnum())[0] for c in s.name] for s in copy.segments
        ]


def patient(version: str) -> list[str]:
    """The lines that a message of the version begins with."""
    phone = f"^PRN^PH^^^512^5550177^^^^^{PHONE}" if version >= "2.6" else PHONE
    pid = ["PID", "1", "", f"{MRN}^^^GENERAL^MR", "", f"{FAMILY}^{GIVEN}", "", BORN, "F", "", "", f"{STREET}^^{CITY}^TX^78701", "", phone]
    return [f"MSH|^~\\&|A|B|C|D|20260304||ADT^A01|M0001|P|{version}", "|".join([*pid, "", "", "", "", ACCOUNT, SSN])]


class Filling:
    """Values for every part of every field, each different, with what a part is filled with by its type."""

    def __init__(self, version: str, other: str) -> None:
        self._version, self._other, self._count = version, other, 0

    def field(self, datatype: str, depth: int = 0) -> str:
        """A value of a data type, every part of it filled, and one more part behind them."""
        known = dictionary.components(self._version, datatype)
        if not known or depth == 2 or datatype in ("TS", "DTM"):
            return self.leaf(datatype, known != ())
        parts = [self.field(spec.datatype, depth + 1) if not spec.withdrawn else self._other for spec in known]
        return "^&"[depth].join([*parts, self._other])

    def leaf(self, datatype: str, composite: bool) -> str:
        """A value without parts. composite: of a type whose parts are not filled one by one here."""
        self._count += 1
        n = self._count
        if datatype in ("TS", "DTM", "DT") or (composite and datatype == "DTM"):
            day = f"{1931 + n % 90}{1 + n % 12:02d}{1 + n % 28:02d}"
            return day if datatype == "DT" else f"{day}{n % 24:02d}{n % 60:02d}-0600"
        if datatype in ("ID", "IS"):
            return f"C{n:03d}"
        if datatype in ("NM", "SI", "TM", "SNM"):
            return str(5_000_000 + 7919 * n) if datatype == "NM" else str(n)
        return self._other


def filled(version: str, segment: str, other: str) -> bytes:
    """A message with a segment of which every field is filled, with one field more than it has."""
    filling = Filling(version, other)
    fields = [filling.field(spec.datatype) for spec in dictionary.fields(version, segment)]
    if segment == "OBX":
        fields[1] = "CE" if version < "2.7" else "CWE"
        fields[4] = filling.field(fields[1])
    lines = [
        *patient(version),
        "|".join([segment, *fields, f"{other}~{other}"]),
        f"ZPI|{other}^{MRN}&{BORN}~{FAMILY}|{SSN}",
        "NTE|1||" + other,
    ]
    return "".join(f"{line}\r" for line in lines).encode()


REPEATED = {"text": SENTENCE, "number": MRN, "ssn": SSN.replace("-", ""), "name": FAMILY.lower(), "born": BORN}
"""What every text, and every identifier, is: each in every version, or in three of them."""
CASES = [(v, other) for v in dictionary.VERSIONS for other in REPEATED if other in ("text", "number") or v in ("2.1", "2.4", "2.8.2")]


@pytest.mark.parametrize(("version", "other"), CASES)
def test_nothing_of_any_field_is_left_and_what_repeats_the_patient_nowhere(version: str, other: str) -> None:
    found = []
    for segment in sorted(dictionary.known_segments(version) - {"MSH", "FHS", "BHS", "FTS", "BTS", "DSC"}):
        raw = filled(version, segment, REPEATED[other])
        message, copy = Message.parse(raw), Message.parse(ANONYMIZER.unit(raw))
        found += [(segment, each) for each in identity.left(message, copy, version)]
        found += [
            (segment, "the line is not as long")
            for a, b in zip(message.segments, copy.segments, strict=True)
            if len(a.fields) != len(b.fields)
        ]
    assert found == []


@pytest.mark.parametrize("version", dictionary.VERSIONS)
def test_the_search_finds_what_is_left(version: str) -> None:
    """The search is no search if it is content with a message that nobody changed."""
    message = Message.parse(filled(version, "NK1", SENTENCE))
    found = set(identity.left(message, message, version))
    for place in ("PID-3.1", "PID-5.1", "PID-5.2", "PID-7", "PID-11.1", "PID-11.3", "PID-18", "PID-19"):
        assert any(each.startswith(f"{place} ") for each in found), place
    assert any(each.startswith("PID-13") for each in found)
    assert {"NTE-3 (NTE): a name of somebody", "NTE-3 (NTE): a number of somebody", "ZPI-1[1].1 (ZPI): a name of somebody"} <= found


def test_the_search_knows_a_date_that_is_none() -> None:
    message = Message.parse(b"MSH|^~\\&|A|||||||1|P|2.3\rPID|||7\rEVN|A01|202602031204\r")
    for instead, said in (("202602031204", "date in clear"), ("202613031204", "date is none"), ("202601041205", "another time of day")):
        copy = Message.parse(message.raw.replace(b"202602031204", instead.encode()))
        assert list(identity.left(message, copy, "2.3")) == [f"EVN-2 (EVN): {said}"]
    assert list(identity.left(message, Message.parse(message.raw.replace(b"202602031204", b"202601201204")), "2.3")) == []


@pytest.mark.parametrize("version", dictionary.VERSIONS)
def test_dates_of_one_person_keep_their_distances_in_every_version(version: str) -> None:
    lines = [*patient(version), "EVN|A01|20260228235900-0600", "OBR|1" + "|" * 6 + "20260301000000|20260402", "ZDT|20251231"]
    message = Message.parse("\r".join(lines).encode())
    copy = Message.parse(ANONYMIZER.unit(message.raw))
    paths = ("PID-7", "MSH-7", "EVN-2", "OBR-7", "OBR-8", "ZDT-1")
    before, after = ([each.get(path)[:14] for path in paths] for each in (message, copy))
    moved = {(day(one) - day(other)).days for one, other in zip(before, after, strict=True)}
    assert len(moved) == 1 and moved.pop() % 7 == 0
    assert [each[8:] for each in before] == [each[8:] for each in after]
    assert copy.get("EVN-2").endswith("235900-0600")


def day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


@pytest.mark.parametrize("version", dictionary.VERSIONS)
def test_codes_amounts_and_items_are_as_they_were_in_every_version(version: str) -> None:
    lines = [
        *patient(version),
        "PV1|1|I|OR2^^^GENERAL",
        "FT1|1|T1|B|20260304||CG|IMP-4471^HIP STEM SIZE 5^L|||12|1250.00&USD|104.17&USD|SURG|||||||",
        "OBX|1|NM|2345-7^Glucose^LN||92.5|mg/dL^mg/dL^UCUM|70-99|N|||F",
        "ITM|IMP-4471|HIP STEM SIZE 5",
    ]
    message = Message.parse("\r".join(lines).encode())
    copy = Message.parse(ANONYMIZER.unit(message.raw))
    for path in ("PV1-2", "PV1-3", "FT1-6", "FT1-7", "FT1-10", "FT1-11", "FT1-12", "FT1-13", "OBX-3", "OBX-5", "OBX-6", "OBX-7", "OBX-11"):
        assert copy.get(path) == message.get(path), path
    assert copy.segments[-1].fields == message.segments[-1].fields


def test_the_same_person_has_one_pseudonym_wherever_the_name_and_numbers_stand() -> None:
    lines = [*patient("2.5.1"), f"OBX|1|CWE|X^{GIVEN} {FAMILY}||Y^ref {MRN} and {SSN}^L", f"ZPI|{FAMILY}|{MRN}|{SSN.replace('-', '')}"]
    copy = Message.parse(ANONYMIZER.unit("\r".join(lines).encode()))
    family, given, number, ssn = copy.get("PID-5.1"), copy.get("PID-5.2"), copy.get("PID-3.1"), copy.get("PID-19")
    assert copy.get("OBX-3.2") == f"{given} {family}"
    assert copy.get("OBX-5.2") == f"ref {number} and {ssn}"
    assert [copy.get(f"ZPI-{n}") for n in (1, 2, 3)] == [family, number, ssn.replace("-", "")]


def values(raw: bytes) -> str:
    return " ".join(leaf.raw for segment in Message.parse(raw).segments for leaf in leaves(segment))


@pytest.mark.parametrize(
    "hidden",
    [
        r"\H\%s\N\ ",
        r"seen with %s\.br\today",
        r"\X" + FAMILY.encode().hex().upper() + r"\ was here",
        "%s's mother",
        "Mr_%s.",
        "x\\T\\%s\\T\\y",
    ],
)
def test_a_name_is_found_between_and_inside_escapes(hidden: str) -> None:
    text = hidden % FAMILY.upper() if "%s" in hidden else hidden
    raw = "\r".join([*patient("2.5.1"), f"FT1|1|||20260304||CG|IMP-4471^{text}^L|{text}"]).encode()
    copy = ANONYMIZER.unit(raw)
    assert FAMILY.casefold() not in copy.decode().casefold() and FAMILY.encode().hex().upper() not in copy.decode()
    assert Message.parse(copy).get("FT1-7.1") == "IMP-4471"
    assert list(identity.left(Message.parse(raw), Message.parse(copy), "2.5.1")) == []


@pytest.mark.parametrize("written", ["19480229", "1948-02-29", "02/29/1948", "29.02.1948"])
def test_a_birth_date_in_a_text_moves_as_the_date_does_however_it_is_written(written: str) -> None:
    copy = Message.parse(ANONYMIZER.unit("\r".join([*patient("2.5.1"), f"AL1|1||X^born {written}^L"]).encode()))
    born = copy.get("PID-7")
    parts = {"1948": born[:4], "02": born[4:6], "29": born[6:]}
    assert copy.get("AL1-3.2") == "born " + re.sub("1948|02|29", lambda match: parts[match[0]], written) != f"born {written}"


def test_one_half_of_a_double_name_is_found() -> None:
    copy = ANONYMIZER.unit("\r".join([*patient("2.5.1"), "NK1|1|Tanneberg-Ulmhoff^Pia", "AL1|1||X^as Mrs Ulmhoff says^L"]).encode())
    assert b"Ulmhoff" not in copy and b"^as Mrs " in copy and b" says^L" in copy


def test_an_escaped_name_is_found_where_it_is_written_otherwise() -> None:
    raw = "\r".join(
        [*patient("2.5.1"), r"NK1|1|O\T\Hara-Quist^Pia", "AL1|1||X^says O'Hara Quist, PIA^L", r"AL1|2||X^O\T\hara\T\quist^L"]
    ).encode()
    copy = ANONYMIZER.unit(raw)
    assert not re.search(rb"hara|quist|pia", copy, re.I)


@pytest.mark.parametrize("codec", ["utf-8", "iso8859-1", "utf-16-le", "gb18030", "big5"])
def test_names_in_other_characters_are_found_in_any_case(codec: str) -> None:
    charset = {"iso8859-1": "8859/1", "gb18030": "GB 18030-2000", "big5": "BIG-5"}.get(codec, "UNICODE UTF-8")
    name, again = ("Ågrén-Øst", "ågrén-øst") if codec != "big5" and codec != "gb18030" else ("歐陽小明", "歐陽小明")
    charset = "UNICODE UTF-16" if codec == "utf-16-le" else charset
    raw = f"MSH|^~\\&|A|||||||1|P|2.5.1||||||{charset}\rPID|||7704419||{name}^Pelle\rDG1|1||I10^{again} has it^I10\r".encode(codec)
    copy = ANONYMIZER.unit(raw).decode(codec)
    assert again.casefold() not in copy.casefold() and "I10^" in copy and copy.count("\r") == 3


def test_a_name_in_hexadecimal_is_of_the_messages_character_set() -> None:
    head = "MSH|^~\\&|A|||||||1|P|2.5.1||||||8859/1\rPID|||7704419||Ågrén^Pelle\rDG1|1||I10^"
    copy = ANONYMIZER.unit((head + "\\XC56772E96E\\ has it^I10\r").encode("latin-1"))
    assert b"6772E96E" not in copy and b"|I10^" in copy


def test_a_message_with_its_own_separators_is_searched_too() -> None:
    raw = "\r".join(patient("2.5.1") + [f"OBX|1|CWE|X^{FAMILY}||Y^{MRN} {GIVEN}^L"]).replace("|", "#").replace("^", "%").replace("&", "@")
    raw = raw.replace("~", "=").replace("\\", "!")
    copy = ANONYMIZER.unit(raw.encode())
    assert copy.startswith(b"MSH#%=!@#")
    for told in (FAMILY, GIVEN, MRN, SSN):
        assert told.encode() not in copy


def test_addresses_of_the_net_documents_and_security_are_gone() -> None:
    lines = [
        *patient("2.5.1"),
        f"OBX|1|RP|X||http://pacs/{FAMILY}/{MRN}.pdf^PACS^Image^PDF",
        f"OBX|2|ED|X||^TEXT^PLAIN^Base64^{'UGF0aWVudA' * 20}",
        f"OBX|3|ST|X||mail {GIVEN.lower()}@{CITY.lower()}.example",
        f"NK1|1|Kin^Of|||^NET^Internet^{GIVEN.lower()}.{FAMILY.lower()}@quarrendale.example",
    ]
    raw = "\r".join(lines).replace("|20260304||ADT", f"|20260304|{MRN}|ADT").encode()
    copy = ANONYMIZER.unit(raw)
    for told in (FAMILY, GIVEN, CITY, MRN, "UGF0aWVudA", "quarrendale"):
        assert told.casefold().encode() not in copy.lower(), told
    assert Message.parse(copy).get("NK1-5.4").endswith("@example.org")


def test_headers_of_a_batch_lose_their_file_name_numbers_and_comment_and_their_date_moves() -> None:
    header = f"FHS|^~\\&|A|B|C|D|20260304101500|{SSN}|{FAMILY}_{MRN}.hl7|about {GIVEN}|F{MRN}|F{ACCOUNT}\r".encode()
    copy = ANONYMIZER.unit(header).decode()
    assert not re.search("|".join((FAMILY, MRN, GIVEN, SSN, ACCOUNT)), copy)
    fields = copy.split("|")
    assert fields[:6] == ["FHS", "^~\\&", "A", "B", "C", "D"] and fields[6][8:] == "101500" and fields[6] != "20260304101500"
    assert fields[8].endswith(".hl7") is False and len(fields) == 12
    assert ANONYMIZER.unit(b"BTS|2|about\r") == b"BTS|2|text\r"
    within = ANONYMIZER.unit("\r".join([*patient("2.5.1"), f"BTS|1|{FAMILY}"]).encode())
    assert FAMILY.encode() not in within and b"BTS|1|text" in within


@pytest.mark.parametrize(
    ("line", "path", "version"),
    [
        ("GT1|1|7788991", "GT1-2", "2.1"),
        ("PV1|1|I|||||||||||||||||7788991", "PV1-19", "2.1"),
        ("IN2|||||| 7788991".replace(" ", ""), "IN2-6", "2.2"),
        ("IN2||||||||7788991", "IN2-8", "2.2"),
        ("IN2||||||||||7788991", "IN2-10", "2.2"),
        ("EVN|A01|20260304|||7788991", "EVN-5", "2.2"),
        ("EVN|A01|20260304|||7788991^Real^Anna", "EVN-5.1", "2.5.1"),
        ("NK1|1|A^B||1 X^^Y^TX^78701^USA^^^Travis", "NK1-4.9", "2.5.1"),
        ("PID|1||77||A^B||||||^^^^^^^^Travis", "PID-11.9", "2.3"),
        ("PID|1||77||A^B|||||||453", "PID-12", "2.3"),
        ("PID|1||77||A^B|||||||453", "PID-12", "2.1"),
    ],
)
def test_numbers_and_counties_that_a_version_has_as_numbers_and_codes_are_replaced(line: str, path: str, version: str) -> None:
    message = Message.parse(f"MSH|^~\\&|A|||||||1|P|{version}\r{line}\r".encode())
    copy = Message.parse(ANONYMIZER.unit(message.raw))
    assert copy.get(path) != message.get(path) != "" and len(copy.get(path)) == len(message.get(path))


def test_a_small_number_and_a_short_name_stay_where_they_may_be_something_else() -> None:
    raw = b"MSH|^~\\&|A|||||||1|P|2.5.1\rPID|||1234||Ox^Al\rFT1|1|||20260304||CG|1234^Ox Al 1234^L\r"
    assert Message.parse(ANONYMIZER.unit(raw)).get("FT1-7") == "1234^Ox Al 1234^L"
