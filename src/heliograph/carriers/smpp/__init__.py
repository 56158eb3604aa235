"""Out over SMPP 3.4: `carrier` is the Carrier, `link` one connection, `check` what `heliograph carrier check` does."""
