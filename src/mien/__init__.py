"""mien: swap, edit, debug and anonymise faces in pictures and video."""
