"""Simulators of the systems around the engine: a cabinet, an ERP, a billing system and an analytics sink, with their faults."""
