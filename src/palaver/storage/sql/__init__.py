"""The storage in SQL: one store over a driver, its statements, and the road of the schema."""
