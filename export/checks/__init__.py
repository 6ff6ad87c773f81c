"""TODO export/checks"""
