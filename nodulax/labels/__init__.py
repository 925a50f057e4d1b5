"""Wrong labels: how many there are, which to read again, and test figures corrected for them."""
