"""The parts of the MLLP connectors."""
