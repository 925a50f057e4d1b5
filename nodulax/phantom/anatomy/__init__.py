"""The simulated patient: body, lungs, skeleton, vessels, nodules and all else."""
