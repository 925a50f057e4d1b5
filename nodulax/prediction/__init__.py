"""From a trained network and a radiograph to findings, files and DICOM objects."""
