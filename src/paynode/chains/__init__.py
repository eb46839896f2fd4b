"""Networks as the node sees them: one folder per chain family, all behind the Protocol of `base`."""
