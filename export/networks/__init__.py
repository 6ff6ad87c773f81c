"""TODO export/networks"""
