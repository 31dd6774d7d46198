"""Training: where pictures come from, what is made of them, the loss, the averaged weights, and the run."""
