"""Sources with a clock: files that are played at a rate or again and again, and a simulated camera."""
