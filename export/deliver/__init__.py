"""TODO export/deliver"""
