"""The colours and sizes of the page; fonts are the system's own, so that nothing is fetched."""

from __future__ import annotations

import gradio as gr


def theme() -> gr.themes.Base:
    """Compact, with one accent colour, for light and dark."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        spacing_size=gr.themes.sizes.spacing_sm,
        radius_size=gr.themes.sizes.radius_md,
        text_size=gr.themes.sizes.text_md,
        font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
