"""A store's own colour on its pages, in a sheet of its own since nothing inline is allowed, and always to be read."""


def sheet(color: str | None) -> bytes:
    """The buttons in `color`, `#rrggbb`; without one, nothing."""
    if color is None:
        return b""
    return f":root {{ --act: {color}; --act-text: {text_on(color)}; }}\n".encode()


def text_on(color: str) -> str:
    """Black or white, whichever is easier to read on `color`: at least 4.5 to 1.

    https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
    """
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#ffffff" if (1 + 0.05) / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000000"


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)
