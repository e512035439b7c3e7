"""SmartAttend over HTTP."""
