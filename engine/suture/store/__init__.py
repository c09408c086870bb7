"""The edge to the database: the only place for SQLAlchemy."""
