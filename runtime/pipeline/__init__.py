"""TODO runtime/pipeline"""
