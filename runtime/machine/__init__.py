"""TODO runtime/machine"""
