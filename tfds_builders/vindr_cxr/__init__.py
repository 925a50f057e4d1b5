"""Builder of the VinDr-CXR (VinBigData) cohort."""
