"""TODO measure/instruments"""
