"""TODO measure/report"""
