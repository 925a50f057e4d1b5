"""The radiograph of a simulated patient: beam, detector, workstation, DICOM."""
