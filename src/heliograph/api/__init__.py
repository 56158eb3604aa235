"""HTTP in: the API's operations, as an ASGI application."""
