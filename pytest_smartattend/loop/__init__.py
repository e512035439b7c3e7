"""asyncio on a clock that never jumps past work in flight, and the bridge to what `datetime` and `time` tell."""
