"""The span exporters of the destinations, and what they share."""
