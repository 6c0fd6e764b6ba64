"""Speed and memory, each as a ratio measured in one run."""
