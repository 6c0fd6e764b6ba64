"""The demo: small real tasks and an encoder from Python packages, so that no model hub is needed."""
