"""What others tell us: prices. Nothing here decides; the domain judges what is said."""
