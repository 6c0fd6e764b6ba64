"""Generated inputs: parsers and readers either succeed or raise a UserError."""
