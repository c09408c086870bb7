"""Master data in use: stock positions."""
