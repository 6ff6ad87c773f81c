"""Masks in other programs' forms: COCO's run lengths, GeoJSON polygons, PNG files."""
