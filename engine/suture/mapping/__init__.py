"""Mapping files run as functions: received messages to canonical events, and events to payloads."""
