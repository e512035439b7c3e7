"""SmartAttend itself, complete and honest: domain (pure) ← store ← api. A guest here: it knows nothing of its testers."""
