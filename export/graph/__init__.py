"""TODO export/graph"""
