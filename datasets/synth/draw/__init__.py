"""What generated street scenes are drawn with: canvas, ground, planes, sprites, textures."""
