"""HNN: pronouns and the phrases that they refer to (WNLI, WSC, PDP, WSCR)."""
