"""The command line, `glide-edit`."""
