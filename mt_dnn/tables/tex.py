"""Text as LaTeX."""

from __future__ import annotations

_GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "", "pi", "rho", "", "sigma", "tau", "upsilon", "phi", "chi"),
    *("psi", "omega"),
)
"""Commands of the small letters from U+03B1 on; omicron and the final sigma have none."""
_CAPITALS = ("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi")

TEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "−": "$-$", "—": "---", "<": "$<$", ">": "$>$", "`": "", "|": "$|$"},
    **{"[": "{[}", "]": "{]}", "*": "{*}"},  # after \\, [ and * would be its arguments
    **{"≤": r"$\leq$", "≥": r"$\geq$", "×": r"$\times$", "≈": r"$\approx$", "∞": r"$\infty$"},
    **{"→": r"$\rightarrow$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "∆": r"$\Delta$"},
    **{chr(0x3B1 + n): rf"$\{name}$" for n, name in enumerate(_GREEK) if name},
    **{name: rf"$\{command}$" for name, command in zip("ΓΔΘΛΞΠΣΥΦΨ", _CAPITALS, strict=True)},
    "Ω": r"$\Omega$",
}
_LATIN = 0x17F
"""The last character that pdfLaTeX prints without further packages, besides punctuation."""
_PUNCTUATION = "–—‘’“”„…†‡•€"


def escape(text: str) -> str:
    """Return ``text`` as LaTeX that prints it; backticks are left out."""
    return "".join(TEX.get(char, char) for char in text)


def foreign(text: str) -> str:
    """The characters of ``text`` that need XeLaTeX or LuaLaTeX and a font that has them."""
    chars = {char for char in text if ord(char) > _LATIN and char not in _PUNCTUATION}
    return "".join(sorted(chars - TEX.keys()))
