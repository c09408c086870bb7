"""What in an HL7 v2 message tells who somebody is: by data type, by segment and by field.

The list follows the identifiers of 45 CFR 164.514(b)(2) (HIPAA, safe harbor), read onto HL7 2.1 to 2.8.2.
"""

from __future__ import annotations

from collections.abc import Mapping

KEEP, ID, ENTITY, DATE, PLACE = "keep", "id", "entity", "date", "place"
"""What is done with a value: left, permuted within its format (a person's number, a thing's), moved, permuted as a name is."""
FAMILY, GIVEN, TITLE, STREET, CITY, TEXT, DATA = "family", "given", "title", "street", "city", "text", "data"
"""Drawn from a list, left if it is a known title, made up, drawn from a list, filled, removed."""

_PERSON = {1: FAMILY, 2: GIVEN, 3: GIVEN, 4: TITLE, 5: TITLE, 6: TITLE, 14: TITLE, 15: GIVEN}
_NUMBERED_PERSON = {1: ID, 2: FAMILY, 3: GIVEN, 4: GIVEN, 5: TITLE, 6: TITLE, 7: TITLE}
_ADDRESS = {1: STREET, 2: PLACE, 3: CITY, 4: KEEP, 5: ID, 8: PLACE, 9: PLACE, 10: PLACE, 19: FAMILY, 20: TEXT}
REST = {FAMILY: FAMILY, STREET: PLACE, PLACE: PLACE}
"""What is done with the subcomponents behind the first: further surnames, the name of the street, the text of a county's code."""


def _each(names: str, rules: Mapping[int, str]) -> dict[str, Mapping[int, str]]:
    return dict.fromkeys(names.split(), rules)


COMPONENTS: Mapping[str, Mapping[int, str]] = {
    **{"XPN": _PERSON, "PN": _PERSON},
    **_each("XCN CN CN_SIMPLE CNN CNS", {**_NUMBERED_PERSON, 21: TITLE}),
    "PPN": {**_NUMBERED_PERSON, 22: TITLE},
    **{"XAD": _ADDRESS, "AD": _ADDRESS, "SAD": {1: STREET, 2: STREET, 3: ID}, "FN": {1: FAMILY, 2: KEEP, 3: FAMILY, 4: KEEP, 5: FAMILY}},
    **_each("CX CK CK_ACCOUNT_NO CM_PAT_ID CM_PAT_ID_0192", {1: ID, 2: ID}),
    **_each("DLN CM_LICENSE_NO PLN CM_PLN PI CM_PI", {1: ID}),
    **_each("EI CM_PLACER CM_FILLER CM_GROUP_ID", {1: ENTITY}),
    **{"XTN": {1: ID, 4: ID, 5: ID, 6: ID, 7: ID, 8: ID, 9: TEXT, 10: ID, 11: ID, 12: ID}, "TN": {1: ID}, "ED": {5: DATA}, "RP": {1: ID}},
    **{"CWE": {9: TEXT}, "CE": {}, "CNE": {9: TEXT}, "CF": {}, "HD": {}, "PL": {}},
}
"""Data type to what is done with its components; the others go by their own data type."""

ALWAYS = frozenset(COMPONENTS) - {"CWE", "CE", "CNE", "CF", "HD", "PL"}
"""Data types that tell who somebody is wherever they stand."""
CODED = frozenset({"ID", "IS", "SI", "CE", "CWE", "CNE", "CF", "HD", "PL", "CP", "MO", "MOC", "TM", "VID", "MSG", "PT", "CQ"})
"""Data types that are left even where everything else is replaced: codes, prices, places."""
TEXTED = frozenset({"CE", "CWE", "CNE", "CF"})
"""Codes that have texts beside them (WORDED)."""
NUMBERS = frozenset({"NM", "SN"})
"""Left where they are numbers."""
DATES = frozenset({"DT", "DTM", "TS"})
FREE_TEXT = frozenset({"TX", "FT"})

PEOPLE = frozenset(
    {
        *("PID", "PD1", "NK1", "GT1", "IN1", "IN2", "IN3", "MRG", "ACC", "UB1", "UB2", "STF", "PRA", "AFF", "LAN", "EDU", "CER"),
        *("CTD", "PRD", "CON", "PDA", "ARV", "OH1", "OH2", "OH3", "OH4", "QPD", "QRD", "QRF", "SPR", "VTQ", "ERQ", "EQL", "RDT"),
        *("URD", "URS", "ADD", "DSP", "PCR", "PES", "PEO", "AUT", "RF1", "CSR", "CSP", "CSS"),
    }
)
"""Segments about people, or that may hold anything: every text is replaced, every number that is none."""

CATALOGUE = frozenset({"ITM", "IVT", "ILT", "VND", "PKG", "IIM", "PRC", "CDM", "MFI", "MFE", "SFT", "INV"})
"""Segments about things: they stay as they are."""

FIELDS: Mapping[str, frozenset[int]] = {
    "MSH": frozenset({8, 10}),
    "PV1": frozenset({5, 7, 8, 9, 17, 19, 50, 52}),
    "PV2": frozenset({5, 12, 13, 23}),
    "EVN": frozenset({5}),
    "FT1": frozenset({2, 20, 21, 23, 24}),
    "ORC": frozenset({2, 3, 4, 8, 10, 11, 12, 14, 19, 21, 22, 23, 24}),
    "OBR": frozenset({2, 3, 10, 13, 16, 17, 18, 19, 20, 21, 28, 32, 33, 34, 35, 39}),
    "OBX": frozenset({16, 25}),
    "RXA": frozenset({10}),
    "TXA": frozenset({5, 9, 10, 11, 12, 13, 14, 15, 16, 22, 23}),
    "DG1": frozenset({16}),
    "PR1": frozenset({8, 11, 12}),
    "AL1": frozenset({5}),
    "SCH": frozenset({1, 2, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}),
    "SPM": frozenset({2, 14}),
    "MSA": frozenset({2, 3}),
    "ERR": frozenset({6, 7, 8}),
    "NTE": frozenset({3, 5}),
    "TQ1": frozenset({10, 11}),
}
"""Fields of other segments that do: visit and order numbers, staff, and free text of type ST."""

WHOLE: Mapping[str, frozenset[int]] = {"AIG": frozenset({3}), "AIP": frozenset({3}), "QAK": frozenset({1})}
"""Fields of a type for codes that name a person or a query: every part is replaced."""

WORDS: Mapping[str, frozenset[int]] = {"PV2": frozenset({3}), "OBR": frozenset({31}), "ORC": frozenset({16}), "SCH": frozenset({6})}
"""Reasons: fields of a type for codes whose text people write freely. The codes stay, the texts are replaced."""
WORDED = (2, 5, 9)
"""The components with text in such types (CE, CWE)."""

KINDS: Mapping[str, Mapping[int, str]] = {
    "CER": {12: ID},
    "EVN": {5: ID},
    "GT1": {2: ID, 56: PLACE},
    "IN1": {52: PLACE},
    "IN2": {6: ID, 8: ID, 10: ID},
    "NK1": {38: PLACE},
    "PID": {6: FAMILY, 12: PLACE, 23: PLACE},
    "PV1": {19: ID},
    "RX1": {23: ID},
}
"""Fields whose data type does not say what they are: identifiers, which versions before 2.3 have as numbers (NM) or codes (ID;
CER-12: 2.5 and 2.6), counties and places of birth in codes and texts, and a name that is a plain text in early versions."""

BATCH: Mapping[str, Mapping[int, str]] = {
    **_each("FHS BHS", {7: DATE, 8: ID, 9: ID, 10: TEXT, 11: ID, 12: ID}),
    **_each("FTS BTS", {2: TEXT}),
}
"""Batch segments: when they were written, the name of the file, the control numbers, and free text."""

TITLES = frozenset(
    {
        *("DR", "MR", "MRS", "MS", "MISS", "PROF", "SIR", "REV", "FR", "MX", "HERR", "FRAU", "MME", "JR", "SR"),
        *("I", "II", "III", "IV", "V"),
        *("MD", "DO", "RN", "NP", "PA", "PHD", "PHARMD", "DDS", "BSN", "MSN", "LPN", "CRNA", "BA", "BS", "MA", "MPH", "MBBS", "ESQ"),
    }
)
"""Prefixes, suffixes and degrees that say nothing of who it is."""
