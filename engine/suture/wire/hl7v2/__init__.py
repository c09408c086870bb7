"""HL7 version 2: its text, its exchange, its standard, and the tools for people."""
