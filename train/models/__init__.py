"""The compact U-Net family and the registry."""
