"""The faces of glide-edit: the command line and the studio. They build requests and show results."""
