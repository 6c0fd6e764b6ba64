"""Two small real tasks and an encoder, all from Python packages: runs without a model hub."""
