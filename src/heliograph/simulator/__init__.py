"""An SMSC with nobody behind it, for trying out whatever speaks SMPP 3.4: `heliograph simulator`."""
