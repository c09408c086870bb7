"""HL7 v2 as a format."""
