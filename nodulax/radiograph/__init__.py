"""What happens to one radiograph, NumPy in and NumPy out."""
