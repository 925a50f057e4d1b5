"""Builder of the AI-HUB nodule cohort."""
