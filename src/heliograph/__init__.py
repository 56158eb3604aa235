"""heliograph: an SMS gateway with a REST service, a dispatcher and a command line."""

__version__ = "0.1.0"
