"""Ways out: whoever takes SMS from us."""
