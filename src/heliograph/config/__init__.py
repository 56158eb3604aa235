"""The settings of an installation: what there are, and where they come from."""
