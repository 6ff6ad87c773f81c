"""TODO export/int8"""
