"""The chapters of the guide: each module makes the pictures of one page."""
