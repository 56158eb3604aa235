"""Text on the air: alphabets, packing, user data headers, segments (3GPP TS 23.038 and TS 23.040). Pure."""
