"""TODO runtime/frame"""
