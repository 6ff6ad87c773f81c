"""Image files: what they say beside their pixels, and how their pixels become 8-bit frames."""
