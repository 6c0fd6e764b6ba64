"""What a run shows while it trains: its log files, the terminal, figures and SMART's health."""
