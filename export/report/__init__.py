"""TODO export/report"""
