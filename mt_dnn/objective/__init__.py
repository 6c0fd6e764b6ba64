"""The training loss: supervised, distillation, smoothness and proximal terms."""
