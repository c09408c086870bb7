"""Message error condition codes as HL7 words them (table 0357)."""

from __future__ import annotations

from suture.model import finding

MEANING = {
    finding.SEGMENT_SEQUENCE: "Segment sequence error",
    finding.REQUIRED_FIELD_MISSING: "Required field missing",
    finding.DATA_TYPE: "Data type error",
    finding.TABLE_VALUE: "Table value not found",
    finding.TOO_LONG: "Value too long",
    finding.CARDINALITY: "Non-Conformant Cardinality",
    finding.OTHER: "Other HL7 Error",
    finding.UNSUPPORTED_MESSAGE_TYPE: "Unsupported message type",
    finding.UNSUPPORTED_EVENT: "Unsupported event code",
    finding.UNSUPPORTED_PROCESSING_ID: "Unsupported processing id",
    finding.UNSUPPORTED_VERSION: "Unsupported version id",
    finding.UNKNOWN_KEY: "Unknown key identifier",
    finding.DUPLICATE_KEY: "Duplicate key identifier",
    finding.RECORD_LOCKED: "Application record locked",
    finding.APPLICATION_ERROR: "Application internal error",
}
