"""TODO train/cpu"""
