"""Operations: one function is one transaction. Load, let the domain decide, save, announce."""
