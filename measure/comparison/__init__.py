"""Two trainings side by side."""
