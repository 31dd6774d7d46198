"""How good pictures are: a verifier that names what it sees, judgments on that, and distances."""
