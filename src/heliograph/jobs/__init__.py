"""What the service is about: jobs, messages, SMS, and what becomes of them. Pure: no I/O, clock or randomness."""
