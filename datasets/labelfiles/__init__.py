"""Label files: the classes that a dataset names, and what values, palettes and colours in its label files mean."""
