"""What in an HL7 v2 message tells who somebody is: by data type, by segment and by field.

The list follows the identifiers of 45 CFR 164.514(b)(2) (HIPAA, safe harbor), read onto HL7 2.1 to 2.8.2.
"""

from __future__ import annotations

from collections.abc import Mapping

KEEP, ID, FAMILY, GIVEN, TITLE, STREET, CITY, TEXT, DATA = ("keep", "id", "family", "given", "title", "street", "city", "text", "data")
"""What is done with a component: left, permuted within its format, drawn from a list, left if a known title, filled, removed."""

_PERSON = {1: FAMILY, 2: GIVEN, 3: GIVEN, 4: TITLE, 5: TITLE, 6: TITLE, 14: TITLE, 15: GIVEN}
_NUMBERED_PERSON = {1: ID, 2: FAMILY, 3: GIVEN, 4: GIVEN, 5: TITLE, 6: TITLE, 7: TITLE, 21: TITLE}
_ADDRESS = {1: STREET, 2: ID, 3: CITY, 4: KEEP, 5: ID, 8: ID, 9: ID, 10: ID}

COMPONENTS: Mapping[str, Mapping[int, str]] = {
    **{"XPN": _PERSON, "PN": _PERSON},
    **{"XCN": _NUMBERED_PERSON, "CN": _NUMBERED_PERSON, "CNN": _NUMBERED_PERSON, "PPN": _NUMBERED_PERSON},
    **{"XAD": _ADDRESS, "AD": _ADDRESS, "SAD": {1: STREET, 2: STREET, 3: ID}, "FN": {1: FAMILY, 2: KEEP, 3: FAMILY, 4: KEEP, 5: FAMILY}},
    **{"CX": {1: ID, 2: ID}, "CK": {1: ID, 2: ID}, "EI": {1: ID}, "DLN": {1: ID}},
    **{"XTN": {1: ID, 4: ID, 5: ID, 6: ID, 7: ID, 8: ID, 9: TEXT, 10: ID, 11: ID, 12: ID}, "TN": {1: ID}, "ED": {5: DATA}, "RP": {1: ID}},
    **{"CWE": {9: TEXT}, "CE": {}, "CNE": {9: TEXT}, "CF": {}, "HD": {}, "PL": {}},
}
"""Data type to what is done with its components; the others go by their own data type."""

ALWAYS = frozenset({"XPN", "PN", "XCN", "CN", "CNN", "PPN", "XAD", "AD", "SAD", "FN", "CX", "CK", "EI", "DLN", "XTN", "TN", "ED", "RP"})
"""Data types that tell who somebody is wherever they stand."""
CODED = frozenset({"ID", "IS", "SI", "CE", "CWE", "CNE", "CF", "HD", "PL", "CP", "MO", "MOC", "TM", "VID", "MSG", "PT", "CQ"})
"""Data types that are left even where everything else is replaced: codes, prices, places."""
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

IDENTITIES: Mapping[str, frozenset[int]] = {"PID": frozenset({2, 3, 4, 18, 19, 20}), "PV1": frozenset({19, 50}), "MRG": frozenset({1, 3})}
"""Fields whose identifiers are replaced wherever else they stand in the message, also where a code or a number is expected."""
PERSONAL: Mapping[str, frozenset[int]] = {"PID": frozenset({5, 6, 7, 9})}
"""Likewise in segments about people."""

BATCH_COMMENTS: Mapping[str, int] = {"FHS": 10, "BHS": 10, "BTS": 2, "FTS": 2}
"""The free text of batch segments."""

TITLES = frozenset(
    {
        *(
            "DR",
            "MR",
            "MRS",
            "MS",
            "MISS",
            "PROF",
            "SIR",
            "REV",
            "FR",
            "MX",
            "HERR",
            "FRAU",
            "MME",
            "JR",
            "SR",
            "I",
            "II",
            "III",
            "IV",
            "V",
        ),
        *("MD", "DO", "RN", "NP", "PA", "PHD", "PHARMD", "DDS", "BSN", "MSN", "LPN", "CRNA", "BA", "BS", "MA", "MPH", "MBBS", "ESQ"),
    }
)
"""Prefixes, suffixes and degrees that say nothing of who it is."""
