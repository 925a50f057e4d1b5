"""Builder of the NODE21 cohort."""
