"""How wrong labels are, which ones to read again, and what figures against them say."""
