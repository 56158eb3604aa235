"""Durable state: the one place where the steps of the flow meet."""
