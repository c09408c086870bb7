"""ER7 text: bytes to segments, fields and values and back, exact for what is not touched."""
