"""The pages of docs/guide, a module each."""
