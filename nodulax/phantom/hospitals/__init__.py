"""Four virtual hospitals: their patients and the files that they publish."""
