"""`heliograph send --csv`: many rows in as few jobs as can be, each sent once, though the run be broken off."""
