"""The simulated patient: body, lungs, skeleton, vessels, nodules and everything else."""
