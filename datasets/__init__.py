"""Data sets: reading any layout, checking, converting, generating."""
