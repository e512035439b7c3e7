"""``smartattend prove``: plant every defect of the catalogue, one at a time, and show which check catches it."""
