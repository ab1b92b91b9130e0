"""What this instrumentor instruments; the `instruments-any` extra repeats it (a test compares)."""

# `.dev0` lower bounds, because a nightly such as 1.14.0.dev3 is not contained in `>=1.13`.
_instruments_any = ("lfx >= 0.2.0.dev0", "langflow-base >= 0.7.0.dev0")
