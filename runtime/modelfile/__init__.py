"""TODO runtime/modelfile"""
