"""The Store in a PostgreSQL database that many nodes share."""
