"""The kinds of findings by the standard: how severe each is, and its code (HL7 tables 0516 and 0357)."""

from __future__ import annotations

from collections.abc import Mapping

from suture.model import finding

SEVERITIES: Mapping[str, str] = {
    "charset": "E",
    "c1_bytes": "W",
    "msh2_twice": "W",
    "message_type": "E",
    "structure_name": "W",
    "version": "W",
    "segment_broken": "E",
    "segment_indented": "W",
    "segment_missing": "E",
    "segment_unexpected": "E",
    "segment_repeats": "E",
    "segment_unknown": "W",
    "field_missing": "E",
    "field_repeats": "E",
    "field_unknown": "W",
    "field_withdrawn": "I",
    "component_missing": "W",
    "component_unknown": "W",
    "data_type": "E",
    "table": "E",
    "length": "W",
}
"""Kind of finding to its severity (HL7 table 0516); "" leaves the kind out. Lengths are warnings, because since HL7 2.7
receivers should take more than the standard's lengths; extra fields and components, because receivers ignore them."""

CODES: Mapping[str, int] = {
    "charset": finding.OTHER,
    "c1_bytes": finding.OTHER,
    "msh2_twice": finding.OTHER,
    "message_type": finding.UNSUPPORTED_MESSAGE_TYPE,
    "structure_name": finding.OTHER,
    "version": finding.UNSUPPORTED_VERSION,
    "segment_broken": finding.SEGMENT_SEQUENCE,
    "segment_indented": finding.OTHER,
    "segment_missing": finding.SEGMENT_SEQUENCE,
    "segment_unexpected": finding.SEGMENT_SEQUENCE,
    "segment_repeats": finding.CARDINALITY,
    "segment_unknown": finding.SEGMENT_SEQUENCE,
    "field_missing": finding.REQUIRED_FIELD_MISSING,
    "field_repeats": finding.CARDINALITY,
    "field_unknown": finding.OTHER,
    "field_withdrawn": finding.OTHER,
    "component_missing": finding.REQUIRED_FIELD_MISSING,
    "component_unknown": finding.OTHER,
    "data_type": finding.DATA_TYPE,
    "table": finding.TABLE_VALUE,
    "length": finding.TOO_LONG,
}
