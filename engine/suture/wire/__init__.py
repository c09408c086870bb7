"""Bytes to structure and back, sans-I/O."""
