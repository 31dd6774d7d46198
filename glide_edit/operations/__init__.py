"""How each request is carried out, over one cascade of stages."""
