"""The document as one page for people: what is shown where, and its pictures."""
