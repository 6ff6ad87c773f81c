"""TODO measure/benchmark"""
