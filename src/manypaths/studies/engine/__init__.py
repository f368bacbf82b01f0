"""What runs a study and judges it: cells, claims and their statistics, the store, the workers, what is written."""
