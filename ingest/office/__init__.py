"""Office files, converted to PDF by LibreOffice: what it is, what it must not do, and how it is asked."""
