"""Suture: an interface engine for the charge and supply side of hospitals."""

__version__ = "0.1.0"
