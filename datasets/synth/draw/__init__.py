"""TODO datasets/synth/draw"""
