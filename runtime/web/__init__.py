"""The HTTP stack that runs and the service share: uvicorn, with limits."""
