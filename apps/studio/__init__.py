"""The studio: the page in the browser. It builds the same requests as every other face."""
