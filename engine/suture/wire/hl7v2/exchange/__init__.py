"""What two systems that speak HL7 v2 agree on: acknowledgements, batches, fragments, sequence numbers."""
