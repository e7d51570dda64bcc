"""Times as people say them."""


def duration(seconds: float) -> str:
    """Return a time as a person says it.

    Example:
        >>> duration(0.42), duration(75.0), duration(8000.0), duration(4e6)
        ('0.4 s', '1 min 15 s', '2 h 13 min', '46 days')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 72 else f"{round(seconds / 86400)} days"
