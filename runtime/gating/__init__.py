"""Which frames the network computes."""
