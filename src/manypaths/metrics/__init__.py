"""What is measured, on games and on samples."""
