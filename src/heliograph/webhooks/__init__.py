"""HTTP out: webhooks are told what has happened."""
