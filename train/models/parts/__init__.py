"""Parts of the zoo's networks: encoders and heads."""
