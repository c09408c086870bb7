"""The conversation of HL7 v2: acknowledgements, batches, fragments and sequence numbers."""
